/** The page's style: one sheet, light and dark by the reader's own setting. */
export const css = `
:root { color-scheme: light dark; --bg: #fbfbf9; --card: #ffffff; --ink: #1d2021; --soft: #6b7075; --line: #e2e3df; --good: #23803f; --bad: #c4332b;
  --accent: #2f6b4f; --s0: #2f6bb3; --s1: #d07a1c; --s2: #7b4fb0; --s3: #1c948e; --s4: #b3477d; --s5: #7a7a1e; --peer: #8a8f94; --bound: #c4332b; }
@media (prefers-color-scheme: dark) { :root { --bg: #16191a; --card: #1e2224; --ink: #e6e6e1; --soft: #979ca0; --line: #33383a; --good: #5fc27e; --bad: #f0776d;
  --accent: #79c7a0; --s0: #72aef0; --s1: #f0a657; --s2: #b695e6; --s3: #58cbc4; --s4: #e68ab5; --s5: #c5c56a; --peer: #80868a; --bound: #f0776d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 28px 20px 60px; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 20px; margin: 0; } h3 { font-size: 16px; margin: 0; }
p { margin: 4px 0 8px; }
header p, .soft, small, figcaption, summary { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; margin-top: 22px; }
article { border-top: 1px solid var(--line); margin-top: 16px; padding-top: 14px; }
.verdict { font-weight: 650; } .good { color: var(--good); } .bad { color: var(--bad); }
code, pre, td, th { font-variant-numeric: tabular-nums; } code, pre { font-family: ui-monospace, monospace; font-size: 13px; }
pre { background: var(--bg); border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px; overflow-x: auto; margin: 8px 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; margin: 6px 0; }
th { font-weight: 600; color: var(--soft); text-align: right; } td { text-align: right; } th, td { padding: 2px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } td.differs { color: var(--bad); font-weight: 650; }
figure { margin: 14px 0 4px; } figcaption { font-size: 13px; margin-bottom: 4px; } svg { display: block; max-width: none; }
.trees { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 10px 18px; } .trees svg { width: 100%; height: auto; border-radius: 4px; } .tree { margin: 6px 0; }
.legend { display: inline-flex; flex-wrap: wrap; gap: 4px 14px; margin-left: 12px; color: var(--ink); } .swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 5px; vertical-align: -1px; }
.tick { font: 11px system-ui, sans-serif; fill: var(--soft); } .exponent { font-size: 8px; } .grid { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke-width: 1.6; } .dot { stroke: var(--card); stroke-width: 1; } polyline.allowed { fill: none; stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 5 4; }
.empty { fill: var(--line); opacity: .45; } rect.visited { fill: var(--accent); } i.visited { background: var(--accent); } rect.bound { fill: var(--bound); opacity: .65; } i.bound { background: var(--bound); } i.allowed { background: var(--bad); height: 3px; vertical-align: 3px; }
${[0, 1, 2, 3, 4, 5].map((i) => `.line.s${i} { stroke: var(--s${i}); } .dot.s${i} { fill: var(--s${i}); } i.s${i} { background: var(--s${i}); }`).join('\n')}
.line.peer { stroke: var(--peer); stroke-dasharray: 2 3; } .dot.peer { fill: var(--peer); } i.peer { background: var(--peer); } .dot.bad { stroke: var(--bad); stroke-width: 3; }
details { margin-top: 8px; } summary { cursor: pointer; font-size: 13px; } .problem { border-left: 3px solid var(--bad); padding-left: 12px; margin: 12px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 10px 0 0; font-size: 14px; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
table.matrix th { white-space: normal; vertical-align: bottom; } table.matrix th, table.matrix td { text-align: center; padding: 2px 5px; } table.matrix td { border: 1px solid var(--card); background: color-mix(in srgb, var(--s1) var(--heat), transparent); } table.matrix td:first-child { text-align: left; }
table.matrix td.self, table.matrix tbody td:first-child { background: none; color: var(--soft); } table.matrix small { display: block; } table.matrix td.apart { outline: 2px solid var(--bad); outline-offset: -2px; }
.says { font-size: 14px; } .says p { margin: 8px 0 0; } .says span { margin-right: 14px; } nav a { color: var(--accent); margin-right: 14px; }
`;
