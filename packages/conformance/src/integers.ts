/** Random integer expressions, and index expressions that stay inside an axis. */
import { pointerWalk } from './descents.ts';
import { access, type Grammar } from './grammar.ts';
import type { Node } from './program.ts';
import { node, type Scope, type SizeText, type Value, value } from './values.ts';

/** An index expression that lies inside an axis, but for rare ones that the run must find out about. */
export function indexInto(g: Grammar, scope: Scope, size: SizeText, depth: number): Node {
  const { rng } = g;
  const same = scope.indices.filter((i) => i.size.text === size.text);
  if (same.length > 0 && rng.chance(0.75)) return node('i32', rng.pick(same).name);
  if (size.value === 0) return node('i32', '0');
  const any = (): Value =>
    rng.chance(0.6) && scope.indices.length > 0 ? indexValue(g, scope) : g.i32(scope, depth - 1);
  switch (rng.int(8)) {
    case 0:
      return node('i32', String(size.fixed ? rng.int(size.value) : 0));
    case 1:
      return node('i32', `(${size.text} - 1)`);
    case 2:
      if (same.length > 0) return node('i32', `(${size.text} - 1 - `, node('i32', rng.pick(same).name), ')');
      return node('i32', '(', any().node, ` % ${size.text})`);
    case 3:
      return node('i32', 'max(0, min(', any().node, `, ${size.text} - 1))`);
    case 4:
      return size.value <= 40 ? g.argmax(scope, depth - 1, size).node : node('i32', '0');
    case 5: {
      const t = g.someTensor(scope, { integers: [0, size.value] });
      const known = g.tensors.find((x) => x.name === t.name && size.fixed);
      if (known !== undefined && depth > 0)
        return access(
          t.name,
          t.shape.map((s) => g.indexInto(scope, g.sizeOf(s), depth - 1)),
          'i32',
        );
      return node('i32', '(', any().node, ` % ${size.text})`);
    }
    case 6:
      if (rng.chance(0.08)) return node('i32', '(', any().node, ` - ${rng.int(2)})`);
      return node('i32', '((', any().node, ` // 2) % ${size.text})`);
    default:
      return node('i32', '(', any().node, ` % ${size.text})`);
  }
}

/** The value of an index at hand. */
export function indexValue(g: Grammar, scope: Scope): Value {
  const i = g.rng.pick(scope.indices);
  return value(i.size.value, node('i32', i.name));
}

/** An integer expression of moderate magnitude. */
export function integer(g: Grammar, scope: Scope, depth: number): Value {
  const v = anyInteger(g, scope, depth);
  return v.magnitude > 1000 ? value(17, node('i32', '(', v.node, ' % 17)')) : v;
}

function anyInteger(g: Grammar, scope: Scope, depth: number): Value {
  const { rng } = g;
  const one = (): Value => g.i32(scope, depth - 1);
  const kind = depth <= 0 ? rng.int(4) : rng.int(15);
  const locals = scope.locals.filter((l) => l.value.node.type === 'i32');
  if (kind < 2 && locals.length > 0) return rng.pick(locals).value;
  if (kind < 2 && scope.indices.length > 0) return indexValue(g, scope);
  switch (kind) {
    case 0:
    case 1:
    case 2: {
      const n = rng.int(8);
      return value(n, node('i32', String(n)));
    }
    case 3: {
      const targets = g.targets.filter((t) => t.value.node.type === 'i32');
      if (targets.length > 0 && rng.chance(0.5)) {
        const t = rng.pick(targets);
        return value(
          t.value.magnitude,
          access(
            t.name,
            t.axes.map((a) => g.indexInto(scope, a.size, depth - 1)),
            'i32',
          ),
        );
      }
      const t = g.someTensor(scope, { integers: [-5, 9] });
      return value(
        9,
        access(
          t.name,
          t.shape.map((s) => g.indexInto(scope, g.sizeOf(s), depth - 1)),
          'i32',
        ),
      );
    }
    case 4:
    case 5: {
      const [a, b] = [one(), one()];
      return value(a.magnitude + b.magnitude, node('i32', '(', a.node, kind === 4 ? ' + ' : ' - ', b.node, ')'));
    }
    case 6: {
      const a = one();
      const by = 2 + rng.int(5);
      return value(a.magnitude * by, node('i32', '(', a.node, ` * ${by})`));
    }
    case 7: {
      const a = one();
      const sign = rng.chance(0.5) ? '//' : '%';
      if (rng.chance(0.2)) {
        // A size, which may come out below 1: then the run must say so, where it is computed at all.
        const size = g.size();
        const less = rng.chance(0.2) ? 1 + rng.int(3) : 0;
        return value(a.magnitude + size.value, node('i32', '(', a.node, ` ${sign} (${size.text} - ${less}))`));
      }
      const by = 2 + rng.int(6);
      return value(a.magnitude + by, node('i32', '(', a.node, ` ${sign} ${by})`));
    }
    case 8: {
      const [a, b] = [one(), one()];
      const name = rng.pick(['max', 'min']);
      return value(Math.max(a.magnitude, b.magnitude), node('i32', `${name}(`, a.node, ', ', b.node, ')'));
    }
    case 9: {
      const a = g.jumping(scope, depth - 1);
      return value(a.magnitude * 4 + 1, node('i32', 'i32(', node('f32', a.node, ' * 4'), ')'));
    }
    case 10:
      return g.argmax(scope, depth - 1, g.size());
    case 11:
      return value(1, node('i32', 'i32(', g.bool(scope, depth - 1), ')'));
    case 12:
      return pointerWalk(g, scope);
    case 13:
      return reduction(g, scope, depth);
    default: {
      const [a, b] = [one(), one()];
      const magnitude = Math.max(a.magnitude, b.magnitude);
      return value(magnitude, node('i32', '(if ', g.bool(scope, depth - 1), ' then ', a.node, ' else ', b.node, ')'));
    }
  }
}

/** A sum of integers, or the smallest or largest of them. */
function reduction(g: Grammar, scope: Scope, depth: number): Value {
  const opened = g.open(scope, 1);
  if (opened === null) return value(1, node('i32', '1'));
  const body = g.i32(opened.scope, depth - 1);
  // Of nothing they are the ends of i32.
  const op = opened.extent === 0 ? 'sum' : g.rng.pick(['sum', 'max', 'min']);
  const magnitude = op === 'sum' ? body.magnitude * Math.max(1, opened.extent) : body.magnitude;
  return value(magnitude, node('i32', `(${op} ${opened.binders}: `, body.node, ')'));
}
