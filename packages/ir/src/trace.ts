/**
 * Which way did the walk go? `traceLayer` asks every descent of a layer to record its route: the nodes it met and the
 * score each decision hung on. A route usually depends on fewer indices than the value does (all outputs of a token take
 * one path), so it is recorded once per combination of the indices that it does depend on.
 */
import { childrenOf } from './children.ts';
import type { Descend, Expr, IndexRange, LayerIR, Let, Statement, TensorDecl, Trace } from './layer-ir.ts';

/** The names of all indices and locals that an expression uses, bound inside it or not (names are unique). */
function namesIn(expr: Expr, names: Set<string> = new Set()): Set<string> {
  if (expr.kind === 'index' || expr.kind === 'local') names.add(expr.name);
  for (const child of childrenOf(expr)) namesIn(child, names);
  return names;
}

/** The lets that decide where the walk goes: those `next` names, and those they name. In order. */
export function routeLets(descend: Descend): readonly Let[] {
  const needed = namesIn(descend.next);
  const chosen: Let[] = [];
  for (const item of [...descend.lets].reverse()) {
    if (!needed.has(item.name)) continue;
    chosen.unshift(item);
    namesIn(item.value, needed);
  }
  return chosen;
}

/**
 * For every descent of a statement, the indices its route depends on, outermost first; null where the route depends on
 * the running node or a let of another descent around it, so that no indices can name it.
 */
export function routesOf(statement: Statement): ReadonlyMap<Descend, readonly IndexRange[] | null> {
  const routes = new Map<Descend, readonly IndexRange[] | null>();

  function visit(
    expr: Expr,
    scope: readonly IndexRange[],
    finals: ReadonlyMap<string, readonly IndexRange[] | null>,
  ): void {
    if (expr.kind === 'reduce') {
      visit(expr.body, [...scope, ...expr.indices], finals);
      return;
    }
    if (expr.kind !== 'descend') {
      for (const child of childrenOf(expr)) visit(child, scope, finals);
      return;
    }
    const deciding = routeLets(expr);
    const names = namesIn(expr.init);
    namesIn(expr.next, names);
    for (const item of deciding) namesIn(item.value, names);
    const own = new Set([expr.node, ...deciding.map((item) => item.name)]);
    const depends = new Set(names);
    let expressible = true;
    for (const name of names) {
      if (own.has(name) || !finals.has(name)) continue;
      const outer = finals.get(name) ?? null;
      if (outer === null) expressible = false;
      else for (const index of outer) depends.add(index.name);
    }
    const route = expressible ? scope.filter((index) => depends.has(index.name)) : null;
    routes.set(expr, route);

    visit(expr.init, scope, finals);
    const walking = new Map(finals);
    for (const name of [expr.node, ...expr.lets.map((item) => item.name)]) walking.set(name, null);
    for (const item of expr.lets) visit(item.value, scope, walking);
    if (expr.yield !== null) visit(expr.yield, scope, walking);
    visit(expr.next, scope, walking);
    if (expr.result !== null) visit(expr.result, scope, new Map(finals).set(expr.node, route));
  }

  visit(statement.value, statement.axes, new Map());
  return routes;
}

/** Copies expressions with other traces in their descents. An object that occurs twice stays one object. */
function tracing(traces: ReadonlyMap<Descend, Trace>): (expr: Expr) => Expr {
  const copies = new Map<Expr, Expr>();
  const again = (expr: Expr): Expr => {
    const copied = copies.get(expr) ?? copy(expr);
    copies.set(expr, copied);
    return copied;
  };
  function copy(expr: Expr): Expr {
    switch (expr.kind) {
      case 'literal':
      case 'index':
      case 'size':
      case 'local':
        return expr;
      case 'access':
        return { ...expr, indices: expr.indices.map(again) };
      case 'op':
        return { ...expr, args: expr.args.map(again) };
      case 'select':
        return { ...expr, condition: again(expr.condition), then: again(expr.then), otherwise: again(expr.otherwise) };
      case 'reduce':
        return { ...expr, body: again(expr.body) };
      case 'descend':
        return {
          ...expr,
          init: again(expr.init),
          lets: expr.lets.map((item) => ({ ...item, value: again(item.value) })),
          yield: expr.yield === null ? null : again(expr.yield),
          next: again(expr.next),
          result: expr.result === null ? null : again(expr.result),
          trace: traces.get(expr) ?? expr.trace,
        };
    }
  }
  return again;
}

/**
 * A copy of the layer in which every descent records its route (see `Trace`). Adds, for a statement with one descent, the
 * outputs `<target>.nodes` (i32) and `<target>.scores` (f32); with several, `<target>.nodes.1`, `<target>.scores.1`, … in
 * the order in which they are written. Their shape is [one size per index the route depends on …, levels].
 *
 * A descent that runs inside the steps of another and depends on where that one stands can't be recorded this way and is
 * left as it is. A layer with nothing to record, or whose descents are traced already, is returned unchanged.
 */
export function traceLayer(ir: LayerIR): LayerIR {
  const added: TensorDecl[] = [];
  const statements = ir.statements.map((statement) => {
    const recordable = [...routesOf(statement)].flatMap(([descend, indices]) =>
      indices === null ? [] : [{ descend, indices }],
    );
    const traces = new Map<Descend, Trace>();
    recordable.forEach(({ descend, indices }, i) => {
      if (descend.trace !== null) return;
      const suffix = recordable.length === 1 ? '' : `.${i + 1}`;
      const trace = {
        indices,
        nodes: `${statement.target}.nodes${suffix}`,
        scores: `${statement.target}.scores${suffix}`,
      };
      traces.set(descend, trace);
      const shape = [...indices.map((index) => index.size), descend.levels];
      added.push({ name: trace.nodes, role: 'output', storage: 'i32', shape, span: descend.span });
      added.push({ name: trace.scores, role: 'output', storage: 'f32', shape, span: descend.span });
    });
    return traces.size === 0 ? statement : { ...statement, value: tracing(traces)(statement.value) };
  });
  return added.length === 0 ? ir : { ...ir, tensors: [...ir.tensors, ...added], statements };
}
