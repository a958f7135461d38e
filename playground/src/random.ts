/** A stream of random numbers: xoroshiro64** (Blackman and Vigna 2018). Streams of one seed are independent by name. */
export class Random {
  private a: number;
  private b: number;

  constructor(seed: number, name: string) {
    let hash = 0x811c9dc5 ^ seed; // FNV-1a over the name
    for (const letter of name) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
    this.a = hash | 1; // the state must not be 0
    this.b = seed;
    for (let i = 0; i < 16; i++) this.bits();
  }

  /** Return 32 random bits as a whole number from 0. */
  private bits(): number {
    const { a, b } = this;
    const mixed = Math.imul(a, 0x9e3779bb);
    const result = Math.imul((mixed << 5) | (mixed >>> 27), 5);
    const c = a ^ b;
    this.a = ((a << 26) | (a >>> 6)) ^ c ^ (c << 9);
    this.b = (c << 13) | (c >>> 19);
    return result >>> 0;
  }

  /** Return a number in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + ((high - low) * this.bits()) / 2 ** 32;
  }

  /** Return a normal number with mean 0 and standard deviation 1 (Box and Muller 1958). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Return the numbers from 0 to count - 1 in random order (Fisher and Yates). */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor(this.uniform(0, i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
