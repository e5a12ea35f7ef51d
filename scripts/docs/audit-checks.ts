/**
 * `docs/audit-checks.md`: what an audit can find, made of the catalogue that finds it (`clients/auditor/checks.ts`).
 *
 * @module
 */
import { CHECKS, type CheckNeeds, SEVERITIES } from '../../clients/auditor/index.ts'

const NEEDS: Readonly<Record<CheckNeeds, string>> = {
  statement: 'the statement',
  history: 'what came before',
  key: 'the auditor’s key',
  end: 'the whole log',
}

export function auditChecksPage(): string {
  const all = Object.entries(CHECKS)
  const sections = SEVERITIES.map((severity) => {
    const rows = all
      .filter(([, check]) => check.severity === severity)
      .map(
        ([id, { needs, meaning, spec, whatToDo }]) =>
          `| \`${id}\` | ${[meaning, whatToDo, spec].map(cell).join(' | ')} | ${NEEDS[needs]} |`,
      )
    return `## ${severity}\n\n${HEAD}\n${rows.join('\n')}\n`
  })
  return `# What an audit checks

Made by \`npm run docs\` from the code; \`provlog audit checks\` prints the same, with \`--json\` for programs. Ids are API: they are added, never
renamed or reused.

A finding is about one entry of a log that did not lie: the tree is as signed, and something in it should not be there. **error**: it must not
be on a log. **warning**: somebody should be asked about it. **info**: the log itself explains it, and an audit passes with it. A log that shows
something else than it signed is no finding: the audit ends with exit code 5 and a file of evidence.

What takes the auditor's key is checked of the records that were sealed for it, and of no others. Only a second source, such as an issuer's own ledger,
shows what was never logged.

${sections.join('\n')}`
}

const HEAD = '| check | what it means | what to do | where the rule stands | what it takes |\n|---|---|---|---|---|'

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
