/** An ioctl-like call that the kernel refuses, with the kernel's error by name. */
export class KvmError extends Error {
  constructor(
    readonly errno: "EINVAL" | "EEXIST" | "ENOSPC" | "ENOMEM" | "EFAULT",
    message: string,
  ) {
    super(`${errno}: ${message}`);
    this.name = "KvmError";
  }
}
