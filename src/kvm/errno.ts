/** The kernel's errors that the model has, with their numbers. */
export const ERRNO = {
  ENOENT: 2,
  EBADF: 9,
  ENOMEM: 12,
  EFAULT: 14,
  EEXIST: 17,
  EINVAL: 22,
  ENOSPC: 28,
  EOPNOTSUPP: 95,
} as const;

export type Errno = keyof typeof ERRNO;

/** An ioctl or system call that the kernel refuses, with the kernel's error by name and number. */
export class KvmError extends Error {
  /** The error as `errno` holds it, such as 22 for EINVAL. */
  readonly value: number;

  constructor(
    readonly errno: Errno,
    message: string,
  ) {
    super(`${errno}: ${message}`);
    this.name = "KvmError";
    this.value = ERRNO[errno];
  }
}
