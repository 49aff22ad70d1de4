/** The report as a JSON text: versioned, and with names for the numbers that JSON lacks. */
import type { Report } from './data.ts';

/** Route differences kept for each check: the first ones say what is wrong. */
const MOST_DIFFERENCES = 100;

/** The JSON text of a report; see data.ts for its type. */
export function reportJson(report: Report): string {
  const replace = (key: string, value: unknown): unknown => {
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
    if (key === 'differences' && Array.isArray(value)) return value.slice(0, MOST_DIFFERENCES);
    return value;
  };
  return `${JSON.stringify(report, replace, 1)}\n`;
}
