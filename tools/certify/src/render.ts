/** A certification as Markdown, for people and to be kept beside its JSON. Reads reports of version 1 too. */
import type { CertificationReport, Check } from './report.ts';
import { digits, markdownTable, ratioHead, ratioRows } from './table.ts';

/** A report as it may come from a file: what older versions lack is absent. */
export type ReadReport = Omit<CertificationReport, 'version' | 'ratios'> &
  Partial<Pick<CertificationReport, 'ratios'>> & { readonly version: number };

/** Throws Error with what is wrong where `value` is no report. */
export function asReport(value: unknown): ReadReport {
  const report = value as Partial<ReadReport> | null;
  if (report?.format !== 'espalier-certification' || !Array.isArray(report.stages))
    throw new Error('this is no certification.json: its format is not "espalier-certification"');
  return report as ReadReport;
}

/** The name of a kept report, without its ending: "2026-11-28-nvidia-h100-80gb-hbm3". */
export function resultName({ date, cuda }: ReadReport): string {
  const device = cuda.devices[0]?.name ?? 'no device';
  const word = device.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return `${date.slice(0, 10)}-${word.replace(/^-|-$/g, '')}`;
}

/** Arguments as they are kept: of a file, its name alone, since folders say something of one machine only. */
export const withoutFolders = (command: readonly string[]): readonly string[] =>
  command.flatMap((part, i) => {
    if (!part.includes('/')) return [part];
    // The bundle's folder came first in older reports.
    return i === 0 ? [] : [part.slice(part.lastIndexOf('/') + 1)];
  });

/** Folders in which programs work or were built, in texts that libraries wrote: they say something of one machine only. */
const FOLDERS = /(?:\/tmp|\/home|\/root)(?:\/[\w.+-]+)*\//g;

/** The report without what only concerns the machine's folders. */
export function kept(report: ReadReport): ReadReport {
  const texts = JSON.parse(JSON.stringify(report), (_key, value: unknown) =>
    typeof value === 'string' ? value.replace(FOLDERS, '') : value,
  ) as ReadReport;
  return { ...texts, command: withoutFolders(report.command) };
}

const number = (check: Check, name: string): number | undefined => {
  const value = check.figures?.[name];
  return typeof value === 'number' ? value : undefined;
};
const shown = (value: number | undefined, times = 1): string => (value === undefined ? '' : digits(value * times));

function facts(report: ReadReport): readonly string[] {
  const { machine, cuda } = report;
  const devices = cuda.devices.map(
    ({ name, sm, multiprocessors, memoryBytes }) =>
      `${name}, sm_${sm}, ${multiprocessors} multiprocessors, ${Math.round(memoryBytes / 2 ** 30)} GiB`,
  );
  const version = cuda.driver.found ? `CUDA ${cuda.driver.version}` : cuda.driver.reason;
  return markdownTable(
    ['', ''],
    [
      ['device', devices.join('; ') || (report.reason ?? 'none')],
      ['driver', [machine.nvidiaDriver, version].filter((part) => part !== undefined).join(', ')],
      ['machine', `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}`],
      ['date', report.date],
      ['command', `\`certify ${withoutFolders(report.command).join(' ')}\``],
      ['compiler', report.generator],
      ['certified', report.certified ? 'yes' : 'no'],
    ],
  ).map((line, i) => (i === 1 ? '| --- | --- |' : line));
}

function stageLines(report: ReadReport): readonly string[] {
  const rows = report.stages.map(({ name, outcome, seconds, checks }) => [
    name,
    outcome,
    ...(['passed', 'failed', 'skipped'] as const).map((o) => String(checks.filter((c) => c.outcome === o).length)),
    digits(seconds),
  ]);
  const remarks = report.stages.flatMap(({ name, error, checks }) => [
    ...(error === undefined ? [] : [`- ${name}: ${oneLine(error)}`]),
    ...checks
      .filter(({ outcome }) => outcome !== 'passed')
      .map((check) => `- ${name}, ${check.name}: ${check.outcome}; ${oneLine(check.detail ?? '')}`),
  ]);
  return [
    ...markdownTable(['stage', 'outcome', 'passed', 'failed', 'skipped', 'seconds'], rows),
    ...(remarks.length > 0 ? ['', ...remarks] : []),
  ];
}

const MOST_CHARACTERS = 300;
const oneLine = (text: string): string => text.replace(/\s+/g, ' ').slice(0, MOST_CHARACTERS);

/** Timings on the device's own clock, and those by the host's. */
function timingLines(checks: readonly Check[]): readonly string[] {
  const passed = checks.filter(({ outcome }) => outcome === 'passed');
  const timed = passed.filter((check) => number(check, 'median') !== undefined);
  const clocked = passed.filter(
    (check) => number(check, 'median') === undefined && number(check, 'byClock') !== undefined,
  );
  const lines: string[] = [];
  if (timed.length > 0)
    lines.push(
      '',
      '## Timings',
      '',
      ...markdownTable(
        ['', 'µs back to back', 'µs single (10 %, 90 %)', 'µs a token', 'TFLOP/s', 'GB/s', 'launches', 'error'],
        timed.map((check) => [
          check.name,
          shown(number(check, 'backToBack'), 1000),
          `${shown(number(check, 'median'), 1000)} (${shown(number(check, 'low'), 1000)}, ${shown(number(check, 'high'), 1000)})`,
          shown(number(check, 'microsecondsPerToken')),
          shown(number(check, 'gflops'), 1e-3),
          shown(number(check, 'gigabytesPerSecond')),
          shown(number(check, 'launches')),
          shown(number(check, 'error')),
        ]),
      ),
    );
  if (clocked.length > 0)
    lines.push(
      '',
      '## By the clock, from the call to the outputs on the host',
      '',
      ...markdownTable(
        ['', 'µs (10 %, 90 %)', 'first, ms', 'dispatches', 'error'],
        clocked.map((check) => [
          check.name,
          `${shown(number(check, 'byClock'), 1000)} (${shown(number(check, 'lowByClock'), 1000)}, ${shown(number(check, 'highByClock'), 1000)})`,
          shown(number(check, 'firstByClock')),
          shown(number(check, 'dispatches')),
          shown(number(check, 'error')),
        ]),
      ),
    );
  return lines;
}

const PART = 'part.';

/** Where graphs spend their time: shares of nodes of a kind, the largest first. */
function partLines(checks: readonly Check[]): readonly string[] {
  const rows = checks.flatMap(({ name, figures = {} }) => {
    const parts = Object.entries(figures)
      .flatMap(([key, value]) =>
        key.startsWith(PART) && typeof value === 'number' ? [[key.slice(PART.length), value] as const] : [],
      )
      .sort(([, a], [, b]) => b - a);
    const all = parts.reduce((sum, [, value]) => sum + value, 0);
    const told = parts.slice(0, MOST_PARTS).map(([part, value]) => `${part} ${digits((100 * value) / all)} %`);
    return parts.length > 1 ? [[name, digits(1000 * all), told.join(', ')]] : [];
  });
  if (rows.length === 0) return [];
  const table = markdownTable(['', 'µs, an event after each launch', 'of which'], rows);
  return ['', '## Where graphs spend their time', '', ...table];
}
const MOST_PARTS = 8;

/** What the WebGPU stage ran on. */
function adapterLines(checks: readonly Check[]): readonly string[] {
  const adapter = checks.find(({ name, figures }) => name === 'adapter' && figures !== undefined);
  const said = ['vendor', 'architecture', 'device', 'description', 'features']
    .map((name) => [name, String(adapter?.figures?.[name] ?? '')])
    .filter(([, value]) => value !== '');
  return adapter ? ['', '## WebGPU adapter', '', ...said.map(([name, value]) => `- ${name}: ${value}`)] : [];
}

/** The whole page. */
export function markdownOf(report: ReadReport): string {
  const checks = report.stages.flatMap((stage) => stage.checks);
  const ratios = report.ratios ?? [];
  const device = report.cuda.devices[0]?.name ?? 'a machine without a CUDA device';
  return [
    `# Certification of ${device}, ${report.date.slice(0, 10)}`,
    '',
    ...facts(report),
    '',
    '## Stages',
    '',
    ...stageLines(report),
    ...(ratios.length > 0
      ? ['', '## What the timings come to', '', ...markdownTable(ratioHead, ratioRows(ratios))]
      : []),
    ...timingLines(checks),
    ...partLines(checks),
    ...adapterLines(checks),
    '',
  ].join('\n');
}
