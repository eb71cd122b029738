/** That this machine's KVM cannot be used at all. What needs it says so in one line, and everything else goes on. */

export class HostUnavailable extends Error {
  constructor(reason: string) {
    super(`this machine's KVM cannot be used: ${reason}`);
    this.name = "HostUnavailable";
  }
}
