/**
 * The text of what one lane does: expressions, and the loads they make. A value is a list of texts, one for each element of a
 * vector; each is used at most once, or is a name. Loads become statements before, so that what they find is told where it is.
 */
import type { Expr, Kernel, KernelBuffer, Stmt, ValueType } from '../kernel-ir/types.ts';
import { printOp } from './arithmetic.ts';
import type { Shadowed } from './memory.ts';

/** The texts of a value's elements. */
export type Parts = readonly string[];

/** How a buffer appears in the text: `m3` is its Memory, `d3` its elements, `w3` what is written, `n3` its length. */
interface Known {
  readonly id: number;
  readonly buffer: KernelBuffer;
  readonly shadowed: Shadowed;
}

export interface LaneContext {
  readonly kernel: Kernel;
  /** Whether the one index of a rank-1 buffer is physical. */
  readonly flattened: boolean;
  readonly buffers: ReadonlyMap<string, Known>;
  /** Names kept in arrays of one element a lane. */
  readonly shared: ReadonlySet<string>;
  /** Where findings of the statement at hand are noted. */
  site(buffer: string | null): number;
  fresh(prefix: string): string;
  identifier(name: string): string;
  line(text: string): void;
}

/** The place of an access that an axis does not have; far from every place that a vector could reach. */
const NOWHERE = -(2 ** 31);

const plain = /^(?:[A-Za-z_$][\w$]*|\(?-?\d[\d.e+-]*\)?|NaN|-?Infinity)$/;

function literal(value: number, type: ValueType): string {
  const x = type.scalar === 'f32' ? Math.fround(value) : value;
  return Object.is(x, -0) ? '(-0)' : x < 0 ? `(${x})` : String(x);
}

/** Makes the text of expressions for the lane `t`. */
export class LaneCode {
  readonly #context: LaneContext;

  constructor(context: LaneContext) {
    this.#context = context;
  }

  /** The elements of a name. */
  name(name: string, type: ValueType): Parts {
    const { identifier, shared } = this.#context;
    const id = identifier(name);
    const each = Array.from({ length: type.lanes }, (_, i) => (type.lanes === 1 ? id : `${id}_${i}`));
    return shared.has(name) ? each.map((part) => `${part}[t]`) : each;
  }

  scalar(e: Expr): string {
    return this.parts(e)[0] as string;
  }

  /** The texts as names or literals, which may be used again and again. */
  bound(parts: Parts): Parts {
    return parts.map((part) => {
      if (plain.test(part)) return part;
      const name = this.#context.fresh('x');
      this.#context.line(`const ${name} = ${part};`);
      return name;
    });
  }

  parts(e: Expr): Parts {
    switch (e.kind) {
      case 'literal':
        return [literal(e.value, e.type)];
      case 'ref':
        return this.name(e.name, e.type);
      case 'dim':
        return [this.#context.identifier(`dim ${e.name}`)];
      case 'builtin': {
        const lanes = this.#context.kernel.workgroup?.lanes ?? 1;
        const own = e.which === 'subgroup' ? 'floordiv' : 'mod';
        return [e.which === 'lane' ? 't' : printOp(own, true, ['t', String(lanes)], '1')];
      }
      case 'load':
        return this.#load(e);
      case 'op':
        return this.#op(e);
      case 'splat': {
        const [value] = this.bound([this.scalar(e.value)]);
        return new Array<string>(e.type.lanes).fill(value as string);
      }
      case 'lanes':
        return e.elements.map((x) => this.scalar(x));
      case 'extract':
        return [this.parts(e.value)[e.lane] as string];
      case 'fold': {
        const fold = (parts: Parts): string => {
          if (parts.length === 1) return parts[0] as string;
          const half = (odd: number): string => fold(parts.filter((_, i) => i % 2 === odd));
          return printOp(e.op, e.type.scalar === 'i32', [half(0), half(1)], '1');
        };
        return [fold(this.parts(e.value))];
      }
      case 'subgroup_fold':
      case 'shuffle':
        throw new Error(`a ${e.kind} is not what one lane does`);
    }
  }

  #op(e: Extract<Expr, { kind: 'op' }>): Parts {
    const args = e.args.map((a) => this.parts(a));
    const divides = e.op === 'floordiv' || e.op === 'mod';
    const zero = divides ? `M.zero(${this.#context.site(null)}, t)` : '';
    const ofInts = e.args[0]?.type.scalar === 'i32';
    return Array.from({ length: e.type.lanes }, (_, i) =>
      printOp(
        e.op,
        ofInts,
        args.map((parts) => parts[i] as string),
        zero,
      ),
    );
  }

  /** A name for the physical place of an access, NOWHERE where an index is outside its axis, which is reported. */
  place(access: Pick<Extract<Expr, { kind: 'load' }>, 'buffer' | 'indices' | 'offset'>, site: number): string {
    const { buffers, flattened, line, fresh } = this.#context;
    const known = buffers.get(access.buffer);
    if (known === undefined) throw new Error(`there is no buffer ${access.buffer}`);
    const { id, buffer } = known;
    const at = fresh('p');
    const indices = this.bound(access.indices.map((i) => this.scalar(i)));
    const whole = access.indices.length === 1 && (flattened || buffer.shape.length !== 1);
    if (whole) {
      line(`const ${at} = ${indices[0]}${access.offset === 0 ? '' : ` + ${access.offset}`};`);
      return at;
    }
    const inside: string[] = [];
    let flat = '0';
    for (const [i, d] of buffer.layout.entries()) {
      const index = indices[d.axis] as string;
      const part =
        d.part === 'whole'
          ? index
          : d.part === 'outer'
            ? `Math.floor(${index} / ${d.block})`
            : `(${index} % ${d.block})`;
      inside.push(`${part} >= 0 && ${part} < e${id}[${i}]`);
      flat = i === 0 ? part : `(${flat}) * e${id}[${i}] + ${part}`;
    }
    line(`let ${at} = ${NOWHERE};`);
    line(`if (${inside.join(' && ') || 'true'}) ${at} = ${flat}${access.offset === 0 ? '' : ` + ${access.offset}`};`);
    line(`else M.outsideAxes(${site}, t, [${indices.join(', ')}], m${id});`);
    return at;
  }

  #load(e: Extract<Expr, { kind: 'load' }>): Parts {
    const { buffers, site: siteOf, line, fresh } = this.#context;
    const site = siteOf(e.buffer);
    const at = this.place(e, site);
    const { id, buffer, shadowed } = buffers.get(e.buffer) as Known;
    const elements = buffer.storage === 'f16' && e.type.scalar === 'i32' ? `b${id}` : `d${id}`;
    return Array.from({ length: e.type.lanes }, (_, i) => {
      const x = fresh('x');
      const here = i === 0 ? at : `${at} + ${i}`;
      line(`let ${x} = ${e.type.scalar === 'f32' ? 'NaN' : '0'};`);
      line(`if (${at} >= ${-i} && ${at} < n${id}${i === 0 ? '' : ` - ${i}`}) {`);
      if (shadowed === 'all') line(`M.read(m${id}, ${here}, t, ${site});`);
      const held = buffer.space === 'private' ? `(${here} + t * n${id})` : `(${here})`;
      line(`if (${this.#isWritten(id, buffer, held)}) ${x} = ${elements}[${held}];`);
      line(`else M.unwritten(${site}, t, ${here});`);
      line(`} else ${this.#outside(e.indices, buffer, site, here, id, at)}`);
      return x;
    });
  }

  /** Where axes are looked at one by one, NOWHERE has been reported already. */
  #outside(indices: readonly Expr[], buffer: KernelBuffer, site: number, here: string, id: number, at: string): string {
    const whole = indices.length === 1 && (this.#context.flattened || buffer.shape.length !== 1);
    return `${whole ? '' : `if (${at} !== ${NOWHERE}) `}M.outside(${site}, t, ${here}, m${id});`;
  }

  #isWritten(id: number, buffer: KernelBuffer, held: string): string {
    return buffer.space === 'global' ? `w${id}[${held} << h${id}] !== 0` : `w${id}[${held}] === serial`;
  }

  store(s: Extract<Stmt, { kind: 'store' }>): void {
    const { buffers, site: siteOf, line } = this.#context;
    const site = siteOf(s.buffer);
    const at = this.place(s, site);
    const { id, buffer, shadowed } = buffers.get(s.buffer) as Known;
    const values = this.bound(this.parts(s.value));
    for (const [i, value] of values.entries()) {
      const here = i === 0 ? at : `${at} + ${i}`;
      const held = buffer.space === 'private' ? `(${here} + t * n${id})` : `(${here})`;
      line(`if (${at} >= ${-i} && ${at} < n${id}${i === 0 ? '' : ` - ${i}`}) {`);
      if (shadowed !== 'none') line(`M.write(m${id}, ${here}, t, ${site}, ${value});`);
      line(`d${id}[${held}] = ${value};`);
      line(buffer.space === 'global' ? `w${id}[${held} << h${id}] = 1;` : `w${id}[${held}] = serial;`);
      line(`} else ${this.#outside(s.indices, buffer, site, here, id, at)}`);
    }
  }
}
