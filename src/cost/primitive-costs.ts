export const CATEGORIES = ["walk", "memory", "exit", "handler", "emulation", "bus", "eventfd", "userspace"] as const;
export type Category = (typeof CATEGORIES)[number];
