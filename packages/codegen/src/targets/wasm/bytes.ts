/** Bytes of a WebAssembly binary in the making. */
export class Bytes {
  #buffer = new Uint8Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    if (this.#length === this.#buffer.length) this.#makeRoom(1);
    this.#buffer[this.#length++] = value;
  }

  all(values: ArrayLike<number>): void {
    this.#makeRoom(values.length);
    this.#buffer.set(values, this.#length);
    this.#length += values.length;
  }

  /** LEB128, seven bits a byte. */
  unsigned(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  /** LEB128 of an i32. */
  signed(value: number): void {
    let rest = value;
    while (rest < -0x40 || rest >= 0x40) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    this.byte(rest & 0x7f);
  }

  text(value: string): void {
    this.sized(new TextEncoder().encode(value));
  }

  /** Bytes behind their number. */
  sized(values: Uint8Array): void {
    this.unsigned(values.length);
    this.all(values);
  }

  /** The bytes so far; valid until the next is added. */
  get whole(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #makeRoom(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}
