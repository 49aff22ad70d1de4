/** How the page looks, by day and by night. */
export const STYLE = `:root{color-scheme:light dark;--ink:#1c2320;--paper:#fbfaf6;--ours:#2f7d4f;--own:#9cc3a8;--other:#c9c4b5;--line:#d8d4c8;--bad:#b5442e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e4dc;--paper:#171a18;--ours:#5fbf86;--own:#3d6b50;--other:#55594f;--line:#343a36;--bad:#e08267}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}section h2{margin-top:1.6rem}small{font-weight:normal;opacity:.7}
.head{font-size:.85rem;opacity:.85}code{font-size:.85em}.note{opacity:.7;font-size:.85rem}.wrong{color:var(--bad)}
svg{width:100%;min-width:46rem;font-size:12px;display:block}svg text{fill:var(--ink)}svg .axis{opacity:.55;font-size:10px}.ratio{opacity:.65}
.ours{fill:var(--ours)}.own{fill:var(--own)}.other{fill:var(--other)}.grid{stroke:var(--line)}.spread{stroke:var(--ink);opacity:.55}
.gauge{width:124px;min-width:124px;height:16px}line.reach,line.aim{stroke:var(--ink);opacity:.6}
circle.aim,circle.reach{fill:var(--ours)}circle.short{fill:var(--bad)}td.aim,td.reach{color:var(--ours)}td.short{color:var(--bad)}td.open{opacity:.6}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem;width:100%}
th,td{text-align:left;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}th{font-weight:600}
.numbers td:not(:first-child),.numbers th:not(:first-child),.paper td:not(:first-child){text-align:right;white-space:nowrap}
.targets td:nth-child(n+3){white-space:nowrap}.targets td:first-child{min-width:15em}summary{cursor:pointer;font-size:.85rem;opacity:.7}li{margin:.2rem 0}
`;
