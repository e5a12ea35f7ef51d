/**
 * Command lines in programs, written as people type them.
 *
 * @module
 */

/** The words of a command line as one types it. What is put in is a part of a word, whatever is in it; and of a list each element is a word. */
export function line(
  texts: TemplateStringsArray,
  ...values: readonly (string | number | readonly string[])[]
): string[] {
  const words: string[] = []
  let isOpen = false
  const add = (part: string) => {
    if (isOpen) words.push(words.pop()! + part)
    else words.push(part)
    isOpen = true
  }
  for (const [i, text] of texts.entries()) {
    for (const [j, part] of text.split(/\s+/).entries()) {
      if (j > 0) isOpen = false
      if (part !== '') add(part)
    }
    const value = values[i]
    if (typeof value === 'object') words.push(...value)
    else if (value !== undefined) add(String(value))
  }
  return words
}
