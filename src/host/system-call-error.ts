/** A system call or ioctl that the kernel refused, told as Node tells of its own. */
import { getSystemErrorMap } from "node:util";

export class SystemCallError extends Error {
  /** Name of the error, such as "EINVAL". */
  readonly code: string;

  /**
   * @param errno number of the error, above 0
   * @param syscall the call, or the ioctl by its name in the UAPI
   */
  constructor(
    readonly errno: number,
    readonly syscall: string,
  ) {
    const [code, description] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, "unknown error"];
    super(`${code}: ${description}, ${syscall}`);
    this.name = "SystemCallError";
    this.code = code;
  }
}
