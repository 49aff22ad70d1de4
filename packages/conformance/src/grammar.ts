/** Random expressions of the layer language, typed, bounded in magnitude and in work. */
import { descend } from './descents.ts';
import { indexInto, integer } from './integers.ts';
import type { Node, NodeType, ProgramDim, ProgramStatement, ProgramTensor } from './program.ts';
import {
  type Index,
  LARGE,
  MOST_WORK,
  node,
  type Rng,
  type Scope,
  type SizeText,
  type Target,
  unaryFunctions,
  type Value,
  value,
} from './values.ts';

export class Grammar {
  readonly rng: Rng;
  readonly tensors: ProgramTensor[] = [];
  readonly statements: ProgramStatement[] = [];
  readonly targets: Target[] = [];
  readonly #dims: readonly SizeText[];
  readonly #sizes = new Map<string, SizeText>();
  #count = 0;

  constructor(rng: Rng, dims: readonly ProgramDim[]) {
    this.rng = rng;
    this.#dims = dims.map((d) => ({ text: d.name, value: d.value, fixed: !d.runtime }));
    for (const d of this.#dims) this.#sizes.set(d.text, d);
  }

  fresh(prefix: string): string {
    return `${prefix}${this.#count++}`;
  }

  /** A name for an index: often one that other statements use too, but for other things. */
  indexName(scope: readonly { readonly name: string }[]): string {
    const free = ['i', 'j', 'k', 't', 's', 'u'].filter((n) => !scope.some((x) => x.name === n));
    return free.length === 0 ? this.fresh('i') : this.rng.pick(free);
  }

  size(fixed = false): SizeText {
    const choice = this.#dims.filter((d) => d.fixed || !fixed);
    if (choice.length > 0 && this.rng.chance(0.85)) return this.rng.pick(choice);
    return this.number(1 + this.rng.int(9));
  }

  number(n: number): SizeText {
    const size = { text: String(n), value: n, fixed: true };
    this.#sizes.set(size.text, size);
    return size;
  }

  /** Axes of a statement, often those of an earlier one, so that statements meet row by row. */
  axes(count: number): readonly Index[] {
    const axes: Index[] = [];
    const model = this.targets.length > 0 && this.rng.chance(0.5) ? this.rng.pick(this.targets) : undefined;
    for (let a = 0; a < count; a++) {
      const size = model?.axes[a]?.size ?? this.size();
      const volume = axes.reduce((n, x) => n * x.size.value, 1);
      axes.push({
        name: this.indexName(axes),
        size: volume * size.value > 3000 ? this.number(1 + this.rng.int(3)) : size,
      });
    }
    return axes;
  }

  define(target: string, axes: readonly Index[], expression: Node, { magnitude }: Value): void {
    this.statements.push({
      target,
      output: false,
      axes: axes.map((a) => ({ name: a.name, size: a.size.text })),
      value: expression,
    });
    this.targets.push({ name: target, axes, value: { node: expression, magnitude } });
  }

  /** An earlier result, read at these indices of its own axes. */
  read(target: string, indices: readonly Node[]): Value {
    const t = this.targets.find((x) => x.name === target) as Target;
    return value(t.value.magnitude, access(target, indices, t.value.node.type));
  }

  /** A new tensor of this shape, or one that is there already. */
  tensor(
    shape: readonly SizeText[],
    options: {
      readonly integers?: readonly [number, number];
      readonly exact?: boolean;
      readonly role?: 'input' | 'weight';
    } = {},
  ): ProgramTensor {
    const sizes = shape.map((s) => s.text);
    const { integers } = options;
    const exact = options.exact ?? this.rng.chance(0.6);
    const fits = (t: ProgramTensor): boolean =>
      t.shape.join() === sizes.join() &&
      (t.storage === 'i32') === (integers !== undefined) &&
      t.storage !== 'i8' &&
      (options.role ?? t.role) === t.role &&
      (integers === undefined || integers.join() === t.integers.join()) &&
      (t.exact || !(options.exact ?? false));
    const known = this.tensors.filter(fits);
    if (known.length > 0 && this.rng.chance(0.4)) return this.rng.pick(known);
    const role = options.role ?? (shape.every((s) => s.fixed) && this.rng.chance(0.6) ? 'weight' : 'input');
    const stored = role === 'weight' && this.rng.chance(0.15) ? 'f16' : 'f32';
    const made: ProgramTensor = {
      name: this.fresh(role === 'weight' ? 'w' : 'x'),
      role,
      storage: integers === undefined ? stored : 'i32',
      shape: sizes,
      exact: exact || stored === 'f16',
      integers: integers ?? [0, 1],
    };
    this.tensors.push(made);
    return made;
  }

  /** An f32 expression of bounded magnitude. */
  f32(scope: Scope, depth: number): Value {
    return this.tame(this.#f32(scope, depth), LARGE);
  }

  /** The value within −most … most. */
  tame(v: Value, most: number): Value {
    if (v.magnitude <= most) return v;
    if (!Number.isFinite(v.magnitude) || this.rng.chance(0.4)) return value(1, node('f32', 'tanh(', v.node, ')'));
    const scale = 2 ** Math.floor(Math.log2(most / v.magnitude));
    return value(v.magnitude * scale, node('f32', '(', v.node, ` * ${scale})`));
  }

  #f32(scope: Scope, depth: number): Value {
    const { rng } = this;
    if (depth <= 0 || rng.chance(0.12)) return this.leaf(scope);
    const one = (): Value => this.f32(scope, depth - 1);
    const kind = rng.int(24);
    switch (kind) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const [a, b] = [one(), one()];
        if (kind > 1) return value(a.magnitude * b.magnitude, node('f32', '(', a.node, ' * ', b.node, ')'));
        return value(a.magnitude + b.magnitude, node('f32', '(', a.node, kind === 0 ? ' + ' : ' - ', b.node, ')'));
      }
      case 4:
      case 5: {
        const [a, b] = [one(), one()];
        return value(
          Math.max(a.magnitude, b.magnitude),
          node('f32', kind === 4 ? 'max(' : 'min(', a.node, ', ', b.node, ')'),
        );
      }
      case 6: {
        const [a, b] = [one(), one()];
        return value(a.magnitude, node('f32', '(', a.node, ' / (1.5 + abs(', b.node, ')))'));
      }
      case 7: {
        const a = one();
        const [before, after, magnitude] = rng.pick([
          ['sqrt(0.25 + abs(', '))', Math.sqrt(a.magnitude + 1)],
          ['ln(0.5 + abs(', '))', Math.log(a.magnitude + 2) + 1],
          ['(-', ')', a.magnitude],
          ['abs(', ')', a.magnitude],
          ['(', ' ^ 2)', a.magnitude ** 2],
          ['(', ' ^ 3)', a.magnitude ** 3],
        ] as const);
        return value(magnitude, node('f32', before, a.node, after));
      }
      case 8: {
        const a = this.tame(one(), 2);
        return value(Math.exp(a.magnitude), node('f32', 'exp(', a.node, ')'));
      }
      case 9:
      case 10: {
        const a = this.tame(one(), 4);
        const name = rng.pick(unaryFunctions);
        const magnitude = name === 'relu_squared' ? a.magnitude ** 2 : a.magnitude + 1;
        return value(magnitude, node('f32', `${name}(`, a.node, ')'));
      }
      case 11:
      case 12: {
        const [a, b] = [one(), one()];
        const condition = this.bool(scope, depth - 1);
        return value(
          Math.max(a.magnitude, b.magnitude),
          node('f32', '(if ', condition, ' then ', a.node, ' else ', b.node, ')'),
        );
      }
      case 13: {
        const a = this.jumping(scope, depth - 1);
        return value(a.magnitude * 4 + 1, node('f32', 'floor(', a.node, ' * 4)'));
      }
      case 14: {
        const a = this.i32(scope, depth - 1);
        return value(a.magnitude, node('f32', 'f32(', a.node, ')'));
      }
      case 15:
        return this.guarded(scope, depth - 1);
      case 16:
        return descend(this, scope);
      default:
        return this.reduction(scope, depth - 1);
    }
  }

  leaf(scope: Scope): Value {
    const { rng } = this;
    const locals = scope.locals.filter((l) => l.value.node.type === 'f32');
    if (locals.length > 0 && rng.chance(0.4)) return rng.pick(locals).value;
    if (rng.chance(0.12)) {
      const number = rng.pick([0.5, -1, 2, 0.25, 1.5, 0.1]);
      return value(
        Math.abs(number),
        node('f32', number < 0 ? `(${number}.0)` : number % 1 === 0 ? `${number}.0` : `${number}`),
      );
    }
    const targets = this.targets.filter((t) => t.value.node.type === 'f32');
    if (targets.length > 0 && rng.chance(0.55)) {
      const t = rng.pick(targets);
      return value(
        t.value.magnitude,
        access(
          t.name,
          t.axes.map((a) => this.indexInto(scope, a.size)),
          'f32',
        ),
      );
    }
    const t = this.someTensor(scope, {});
    return value(
      1,
      access(
        t.name,
        t.shape.map((s) => this.indexInto(scope, this.sizeOf(s))),
        'f32',
      ),
    );
  }

  /** A tensor over some of the indices in sight. */
  someTensor(scope: Scope, options: Parameters<Grammar['tensor']>[1]): ProgramTensor {
    const { rng } = this;
    const rank = rng.pick([0, 1, 1, 2, 2, 2, 3, 3, 4]);
    const indices = [...scope.indices].reverse();
    const shape: SizeText[] = [];
    for (let a = 0; a < rank; a++) {
      const from = indices.length > 0 && rng.chance(0.85) ? rng.pick(indices.slice(0, 3)).size : this.size();
      const volume = shape.reduce((n, s) => n * s.value, 1);
      shape.push(volume * from.value > 20_000 ? this.number(1) : from);
    }
    return this.tensor(shape, options);
  }

  sizeOf(text: string): SizeText {
    return this.#sizes.get(text) ?? this.number(Number(text));
  }

  /** An index expression that lies inside an axis, but for rare ones that the run must find out about. */
  indexInto(scope: Scope, size: SizeText, depth = 2): Node {
    return indexInto(this, scope, size, depth);
  }

  i32(scope: Scope, depth: number): Value {
    return integer(this, scope, depth);
  }

  bool(scope: Scope, depth: number): Node {
    const { rng } = this;
    const compare = rng.pick([' == ', ' != ', ' < ', ' <= ', ' > ', ' >= ']);
    switch (depth <= 0 ? rng.int(2) : rng.int(6)) {
      case 0:
      case 1:
      case 2:
        return node('bool', '(', this.i32(scope, depth - 1).node, compare, this.i32(scope, depth - 1).node, ')');
      case 3:
      case 4:
        return node(
          'bool',
          '(',
          this.jumping(scope, depth - 1).node,
          compare,
          this.jumping(scope, depth - 1).node,
          ')',
        );
      default:
        if (rng.chance(0.3)) return node('bool', '(not ', this.bool(scope, depth - 1), ')');
        return node(
          'bool',
          '(',
          this.bool(scope, depth - 1),
          rng.pick([' and ', ' or ']),
          this.bool(scope, depth - 1),
          ')',
        );
    }
  }

  /** Something to jump on: mostly exact. */
  jumping(scope: Scope, depth: number): Value {
    return this.rng.chance(0.85) ? this.exact(scope, depth) : this.f32(scope, depth);
  }

  /** A short expression over multiples of 1/16: a float32 holds every intermediate result. */
  exact(scope: Scope, depth: number): Value {
    const { rng } = this;
    const leaf = (): Value => {
      const t = this.someTensor(scope, { exact: true });
      return value(
        1,
        access(
          t.name,
          t.shape.map((s) => this.indexInto(scope, this.sizeOf(s), 1)),
          'f32',
        ),
      );
    };
    const number = (): Value => value(1, node('f32', rng.pick(['0.5', '0.0', '0.25', '1.0', '(-0.125)'])));
    switch (depth <= 0 ? rng.int(3) : rng.int(6)) {
      case 0:
      case 1:
        return leaf();
      case 2:
        return number();
      case 3: {
        const [a, b] = [leaf(), leaf()];
        return value(2, node('f32', '(', a.node, rng.pick([' + ', ' - ']), b.node, ')'));
      }
      default: {
        const opened = this.open(scope, 1);
        if (opened === null) return leaf();
        const a = leafIn(this, opened.scope);
        const b = leafIn(this, opened.scope);
        const bias = leaf();
        return value(
          opened.extent + 1,
          node('f32', '((sum ', opened.binders, ': ', node('f32', a, ' * ', b), ') + ', bias.node, ')'),
        );
      }
    }
  }

  exactLeaf(scope: Scope): Node {
    const t = this.someTensor(scope, { exact: true });
    return access(
      t.name,
      t.shape.map((s) => this.indexInto(scope, this.sizeOf(s), 1)),
      'f32',
    );
  }

  /** New indices to reduce over; null when the statement does enough work already. */
  open(
    scope: Scope,
    count: number,
  ): { readonly scope: Scope; readonly binders: string; readonly extent: number } | null {
    let inner = scope;
    const binders: string[] = [];
    let extent = 1;
    for (let c = 0; c < count; c++) {
      const size = this.size();
      if (inner.volume * size.value > MOST_WORK) break;
      const name = this.indexName([...inner.indices, ...inner.locals]);
      binders.push(`${name} in ${size.text}`);
      extent *= size.value;
      inner = { ...inner, indices: [...inner.indices, { name, size }], volume: inner.volume * Math.max(1, size.value) };
    }
    return binders.length === 0 ? null : { scope: inner, binders: binders.join(', '), extent };
  }

  reduction(scope: Scope, depth: number): Value {
    const { rng } = this;
    const opened = this.open(scope, rng.pick([1, 1, 1, 2, 2, 3]));
    if (opened === null) return this.leaf(scope);
    const op = rng.pick(['sum', 'sum', 'sum', 'sum', 'prod', 'max', 'min']);
    const body = rng.chance(0.5) ? this.#product(opened.scope) : this.f32(opened.scope, depth - 1);
    const whole = (magnitude: number, b: Node): Value =>
      value(magnitude, node('f32', `(${op} ${opened.binders}: `, b, ')'));
    if (op === 'sum') return whole(body.magnitude * opened.extent, body.node);
    if (op !== 'prod') return whole(opened.extent === 0 ? Number.POSITIVE_INFINITY : body.magnitude, body.node);
    const small = this.tame(body, 1);
    return opened.extent <= 20
      ? whole(1.2 ** opened.extent, node('f32', '(1 + ', small.node, ' / 8)'))
      : whole(1, small.node);
  }

  #product(scope: Scope): Value {
    const factors = Array.from({ length: 2 + this.rng.int(2) }, () => this.leaf(scope));
    const parts = factors.flatMap((f, i): (string | Node)[] => (i === 0 ? [f.node] : [' * ', f.node]));
    return value(
      factors.reduce((m, f) => m * f.magnitude, 1),
      node('f32', '(', ...parts, ')'),
    );
  }

  argmax(scope: Scope, depth: number, size: SizeText): Value {
    const op = this.rng.pick(['argmax', 'argmax', 'argmin']);
    if (scope.volume * size.value > MOST_WORK) return value(0, node('i32', '0'));
    const name = this.indexName([...scope.indices, ...scope.locals]);
    const inner: Scope = {
      ...scope,
      indices: [...scope.indices, { name, size }],
      volume: scope.volume * Math.max(1, size.value),
    };
    const body = this.rng.chance(0.2) ? this.i32(inner, depth - 1) : this.jumping(inner, depth - 1);
    return value(size.value, node('i32', `(${op} ${name} in ${size.text}: `, body.node, ')'));
  }

  /** An access that its condition keeps inside. */
  guarded(scope: Scope, depth: number): Value {
    const { rng } = this;
    const size = this.size();
    const t = this.tensor(
      rng.chance(0.5) || scope.indices.length === 0 ? [size] : [rng.pick(scope.indices).size, size],
    );
    const place = this.i32(scope, depth - 1);
    const shift = rng.pick([' + 1', ' - 1', ' - 2', ' * 2', '', ' - 5000', ' * 3000']);
    const at = node('i32', '(', place.node, shift, ')');
    const rest = t.shape.slice(0, -1).map((s) => this.indexInto(scope, this.sizeOf(s), 1));
    const other = this.leaf(scope);
    const inside = node('bool', '', at, ' >= 0 and ', at, ` < ${size.text}`);
    return value(
      Math.max(1, other.magnitude),
      node('f32', '(if ', inside, ' then ', access(t.name, [...rest, at], 'f32'), ' else ', other.node, ')'),
    );
  }
}

const leafIn = (grammar: Grammar, scope: Scope): Node => grammar.exactLeaf(scope);

export function access(tensor: string, indices: readonly Node[], type: NodeType): Node {
  const parts = indices.flatMap((n, i): (string | Node)[] => (i === 0 ? [n] : [', ', n]));
  return node(type, `${tensor}[`, ...parts, ']');
}
