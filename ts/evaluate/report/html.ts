/** A piece of HTML that is known to be safe: written by us or escaped. */
export class SafeHtml {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What may stand in a template: text and numbers are escaped, pieces and lists of pieces are put in as they are. */
export type HtmlValue = SafeHtml | string | number | undefined | readonly HtmlValue[];

/**
 * Template tag that escapes every value which is not itself made by this tag. Attribute values must stand in double quotes.
 */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): SafeHtml {
  return new SafeHtml(strings.map((part, i) => part + (i < values.length ? toText(values[i]) : '')).join(''));
}

function toText(value: HtmlValue): string {
  if (value === undefined) return '';
  if (value instanceof SafeHtml) return value.text;
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return value.map(toText).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for element content and quoted attribute values. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** 0.9808 as '98.1 %'; the space does not break. */
export function formatPercent(share: number): string {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** 12345 as '12,345'. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Four digits after the point for small numbers, fewer for large ones. */
export function formatLoss(loss: number): string {
  if (!Number.isFinite(loss)) return 'not finite';
  return loss.toFixed(loss < 10 ? 4 : 2);
}

/** 'row' or 'rows' with its count. */
export function countOf(count: number, singular: string): string {
  return `${formatCount(count)} ${count === 1 ? singular : `${singular}s`}`;
}

/** Four significant digits, with thousands marked; powers of ten for what is very large or small. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return 'not finite';
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-4)) return value.toExponential(2);
  return value.toLocaleString('en-US', { maximumSignificantDigits: size >= 1000 ? Math.ceil(Math.log10(size)) : 4 });
}
