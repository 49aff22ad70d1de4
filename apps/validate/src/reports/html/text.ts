/** Text inside HTML and SVG: everything that comes from files or devices goes through here. */

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand in an element or a quoted attribute. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => entities[character] as string);

/** A coordinate: two decimals are finer than any screen. */
export const coordinate = (value: number): string => String(Number(value.toFixed(2)));
