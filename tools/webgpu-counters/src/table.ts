/** Counts as text. */
import type { Row } from './compare.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

type Column = readonly [title: string, cell: (row: Row) => string];

const columns: readonly Column[] = [
  ['', ({ contender }) => contender],
  ['submissions', ({ warm }) => String(warm.submissions)],
  ['dispatches', ({ warm }) => String(warm.dispatches)],
  ['read-backs', ({ warm }) => String(warm.readbacks)],
  ['MiB bound', ({ warm }) => (warm.bytesBound / MIB).toFixed(1)],
  ['KiB workgroup', ({ warm }) => (warm.workgroupBytes / KIB).toFixed(1)],
  ['bytes written', ({ warm }) => String(warm.bytesWritten)],
  ['bytes read', ({ warm }) => String(warm.bytesRead)],
  ['bind groups', ({ warm }) => String(warm.bindGroups)],
  ['buffers', ({ warm }) => String(warm.buffers)],
  ['copies', ({ warm }) => String(warm.copies)],
  ['pipelines, cold', ({ cold }) => String(cold.pipelines)],
  ['submissions, cold', ({ cold }) => String(cold.submissions)],
];

/** The head of a table in Markdown. */
export function headOf(title: string): readonly string[] {
  const names = columns.map(([name]) => name);
  return [
    `| ${[title, ...names.slice(1)].join(' | ')} |`,
    `|${names.map((_, i) => (i === 0 ? '---|' : '--:|')).join('')}`,
  ];
}

/** One line of it. */
export const lineOf = (row: Row): string => `| ${columns.map(([, cell]) => cell(row)).join(' | ')} |`;

/** Whether Espalier makes one submission, and no more dispatches than half of the peer's; as a sentence. */
export function verdictOf(ours: Row, peer: Row): string {
  const half = 2 * ours.warm.dispatches <= peer.warm.dispatches;
  const share = ((100 * ours.warm.dispatches) / peer.warm.dispatches).toFixed(0);
  return `${ours.warm.dispatches} of ${peer.warm.dispatches} dispatches (${share} %${half ? '' : ', MORE THAN HALF'}), ${ours.warm.submissions} of ${peer.warm.submissions} submissions: ${peer.contender}`;
}

/** What Espalier dispatches, most often first. */
export const kernelsOf = ({ labels }: Row): string =>
  Object.entries(labels)
    .sort(([, a], [, b]) => b - a)
    .map(([label, count]) => `${count} × ${label}`)
    .join(', ');
