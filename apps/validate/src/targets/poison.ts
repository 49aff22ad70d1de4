/** A device whose fresh memory is all NaN (and −1 for integers), so that what a kernel forgets to write is seen. */
import type { Device } from '@espalier/runtime';

/** The same device; only buffers made through this one start poisoned. */
export function poisoned(device: Device): Device {
  return {
    info: device.info,
    alignment: device.alignment,
    createBuffer(byteLength, label) {
      const buffer = device.createBuffer(byteLength, label);
      // Every bit set is a NaN in float32 and float16, and −1 as an integer.
      buffer.write(new Uint8Array(byteLength).fill(0xff));
      return buffer;
    },
    load: (artefact) => device.load(artefact),
    prepare: (launches) => device.prepare(launches),
    [Symbol.dispose]: () => device[Symbol.dispose](),
  };
}
