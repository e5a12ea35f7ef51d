/**
 * Decimal integers as the C2SP formats write them: no sign, no leading zeros. One text for one number.
 *
 * @module
 */

/** The integer from 0 to 2⁵³ − 1 that `text` writes, or undefined. */
export function parseDecimal(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : undefined
}
