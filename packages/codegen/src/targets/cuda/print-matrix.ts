/** What is done by matrix units, as CUDA C: a fragment is an array of registers, moved and multiplied tile by tile. */
import * as k from '../../kernel-ir/build.ts';
import type { Expr, Kernel, KernelBuffer, Stmt } from '../../kernel-ir/types.ts';
import { BINDS, call, infix, primary, type Text } from '../../print/c-family.ts';
import { type Block, blockOf, type Fragment, fragmentsOf } from './fragments.ts';
import type { Preamble } from './helper.ts';
import { CudaRefusal } from './legalise.ts';
import { HELD } from './tiles.ts';

type StmtOf<K extends Stmt['kind']> = Extract<Stmt, { kind: K }>;

/** What the rest of the printer knows of the kernel. */
export interface MatrixContext {
  name(name: string): string;
  buffer(name: string): KernelBuffer;
  /** The address of the element that stands at `at` in the buffer's physical order. */
  address(b: KernelBuffer, at: Expr): Text;
  print(e: Expr): Text;
  isMultiple(e: Expr, of: number): boolean;
}

export class MatrixPrinter {
  readonly #kernel: Kernel;
  readonly #preamble: Preamble;
  readonly #context: MatrixContext;
  readonly #fragments: ReadonlyMap<string, Fragment>;

  constructor(kernel: Kernel, preamble: Preamble, context: MatrixContext) {
    this.#kernel = kernel;
    this.#preamble = preamble;
    this.#context = context;
    this.#fragments = fragmentsOf(kernel);
  }

  /** The registers of a fragment; none for one that takes part in no product. */
  declaration(name: string): readonly string[] {
    const f = this.#fragments.get(name);
    if (f === undefined) return [];
    return [`${f.side === 'c' ? 'float' : 'unsigned'} ${this.#context.name(name)}[${sizeOf(f)}];`];
  }

  fragment(s: StmtOf<'fragment'>): readonly string[] {
    const { print } = this.#context;
    const name = this.#context.name(s.fragment);
    const f = this.fragmentNamed(s.fragment);
    if (s.buffer === null) return [`for (${f.side === 'c' ? 'float' : 'unsigned'}& each : ${name}) each = 0;`];
    const buffer = this.#context.buffer(s.buffer);
    if (s.move === 'take') return this.take(s, f, buffer);
    const block = blockOf(this.#kernel, s, buffer);
    if (this.isByRows(f, buffer, block)) return this.loadRows(name, f, buffer, block);
    const strides = [print(block.row), print(block.column)];
    const what = f.side === 'c' ? `${s.move}_c` : `load_${f.side}_k${f.depth}_${staged(buffer) ?? f.format}`;
    const lines = this.overTiles(name, f, 1, block, buffer, (registers, from) =>
      call(this.#preamble.use(what), registers, from, ...strides),
    );
    // Lanes of the warp read what others have stored.
    return s.move === 'store' ? [...lines, '__syncwarp();'] : lines;
  }

  mma(s: StmtOf<'mma'>): readonly string[] {
    const [c, a, b] = [s.accumulator, s.a, s.b].map((x) => this.fragmentNamed(x)) as [Fragment, Fragment, Fragment];
    const multiply = this.#preamble.use(`mma_k${a.depth}_${a.format}`);
    const place = (name: string, f: Fragment, r: number, col: number): Text =>
      registers(this.#context.name(name), (r * f.columns + col) * f.registers);
    const lines: string[] = [];
    for (let d = 0; d < a.columns; d++) {
      for (let r = 0; r < c.rows; r++) {
        for (let col = 0; col < c.columns; col++) {
          const operands = [place(s.accumulator, c, r, col), place(s.a, a, r, d), place(s.b, b, d, col)];
          lines.push(`${call(multiply, ...operands).text};`);
        }
      }
    }
    return lines;
  }

  /** What a lane holds lies in its registers already, in the order the tile says. */
  private take(s: StmtOf<'fragment'>, f: Fragment, to: KernelBuffer): readonly string[] {
    if (JSON.stringify(s.held) !== JSON.stringify(HELD))
      throw new CudaRefusal(this.#kernel, `fragment ${s.fragment} is taken as no GPU holds it`);
    const [target, source] = [to.name, s.fragment].map((n) => this.#context.name(n));
    return ['#pragma unroll', `for (int each = 0; each < ${sizeOf(f)}; ++each) ${target}[each] = ${source}[each];`];
  }

  /**
   * Whether a warp can hand rows of 16 bytes around: of 16-bit elements in workgroup memory that are neighbours along the depth, rows
   * beginning at multiples of 16 bytes.
   */
  private isByRows(f: Fragment, buffer: KernelBuffer, { corner, row, column }: Block): boolean {
    if (f.side === 'c' || f.depth !== 16 || buffer.space !== 'workgroup' || buffer.storage !== f.format) return false;
    const [along, apart] = f.side === 'a' ? [column, row] : [row, column];
    const isNeighbours = along.kind === 'literal' && along.value === 1;
    const isWhole = f.side === 'a' || f.columns % 2 === 0;
    return isNeighbours && isWhole && [corner, apart].every((e) => this.#context.isMultiple(e, 8));
  }

  private loadRows(name: string, f: Fragment, buffer: KernelBuffer, block: Block): readonly string[] {
    const load = this.#preamble.use(`load_${f.side}_rows`);
    const pitch = this.#context.print(f.side === 'a' ? block.row : block.column);
    // One instruction brings a tile of a, or two neighbours of b.
    const step = f.side === 'a' ? 1 : 2;
    return this.overTiles(name, f, step, block, buffer, (to, from) => call(load, to, from, pitch));
  }

  /** A call for every tile of a fragment, or every `step`-th of a row of tiles. */
  private overTiles(
    name: string,
    f: Fragment,
    step: number,
    { corner, row, column }: Block,
    buffer: KernelBuffer,
    move: (to: Text, from: Text) => Text,
  ): readonly string[] {
    const lines: string[] = [];
    for (let r = 0; r < f.rows; r++) {
      for (let c = 0; c < f.columns; c += step) {
        const ahead = k.add(k.mul(row, k.i32(r * f.tileRows)), k.mul(column, k.i32(c * f.tileColumns)));
        const from = this.#context.address(buffer, k.add(corner, ahead));
        lines.push(`${move(registers(name, (r * f.columns + c) * f.registers), from).text};`);
      }
    }
    return lines;
  }

  private fragmentNamed(name: string): Fragment {
    const found = this.#fragments.get(name);
    if (found === undefined) throw new Error(`fragment ${name} takes part in no product`);
    return found;
  }
}

/** Registers a lane gives to a fragment. */
const sizeOf = (f: Fragment): number => f.rows * f.columns * f.registers;

const registers = (name: string, first: number): Text =>
  first === 0 ? primary(name) : infix(BINDS.sum, '+', primary(name), primary(String(first)));

/** The format of elements that were rounded when they were stored. */
const staged = ({ storage }: KernelBuffer): string | null =>
  storage === 'bf16' ? 'bf16_bits' : storage === 'tf32' ? 'tf32_bits' : null;
