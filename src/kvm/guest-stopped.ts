/**
 * A guest that cannot go on in the model: KVM stops its vCPU, it makes no progress, or it has a fault that it does not
 * handle. It is what the guest was told to do, and no fault of the kernel's functions or of a patch that it happened under.
 */
export class GuestStopped extends Error {
  override readonly name = "GuestStopped";
}
