/**
 * `docs/audit-database.md`: the tables of an auditor's database, made of the schema itself.
 *
 * @module
 */
import { type ColumnType, sqlTypeOf } from '../../clients/auditor/database/cells.ts'
import { TABLES, type Table, VIEWS } from '../../clients/auditor/database/schema.ts'
import { QUESTIONS, type Question } from '../../clients/auditor/index.ts'

export function auditDatabasePage(): string {
  return `# The auditor’s database

Made by \`npm run docs\` from the schema. \`provlog audit run --state DIR\` leaves one DuckDB file, \`DIR/database/audit.duckdb\`: everything that the log says, as tables. \`provlog audit query\` asks it
questions; \`--sql\` asks it anything. It is made from the log alone, so it may be deleted at any time: the next audit makes it again.

**What it holds in clear.** Without a key, what everybody can read on the log. With \`--key\`, also what that key opens: names of workloads, serial numbers, bills of materials, what Evidence said. Columns
marked *opened* are of that kind, and NULL where nothing was opened. The directory is 0700 and the file 0600; whoever copies it copies the plaintext. What does not fit into the memory of an audit or of a
question is beside it, in \`spill-…\` (0700), for as long as that runs; what a killed one left goes with the next audit. Private keys, credentials and wraps are never in
it. An audit with another key, or with none, starts over and leaves nothing of the old one.

**What keeps it right.** One transaction holds a run of entries, what was found about them, and how far the audit has come. Killed at any point, the next audit goes on after the last whole run. Before it does, the
entries in the table must lead to the tree that was audited. An audit locks the file: a question asked meanwhile is told so.

Times are POSIX seconds. Digests are bytes: \`lower(hex(entry))\` is how they are written elsewhere. What stands for one statement has its \`index\` on the log.

${Object.entries(TABLES)
  .map(([name, table]) => tableText(name, table))
  .join('\n\n')}

## Worked out when asked for

| name | what it is |
|---|---|
${Object.entries(VIEWS)
  .map(([name, { about }]) => `| \`${name}\` | ${about} |`)
  .join('\n')}

## Questions

\`provlog audit query QUESTION name=value… --state DIR\`. A row is about one statement, and begins with its \`index\` and \`entry\`. Those marked *opened* are about what was sealed: what the auditor’s key did not
open is not in the answer, and that is said. Versions are compared as Semantic Versioning 2.0.0 §11 has it, stretched over PEP 440, Maven and the builds of distributions
(\`clients/auditor/database/version-key.ts\`); one without an order (\`latest\`, a hash) is in every range rather than in none.

| question | what it asks | what it takes |
|---|---|---|
${QUESTIONS.map(questionText).join('\n')}

**None others.** Every answer says up to which checkpoint it is complete: the audit replayed every entry under it, and whoever replays the log to that checkpoint gets the same answer.

**\`--prove DIR\`** makes a new directory (0700; it holds what the rows say): \`answer.json\`, and in \`entries/\` for each row the statement and a proof (c2sp.org/tlog-proof) that it is at its index under that
checkpoint; also the records by which its signer was authorized. The log is asked for them once more. \`provlog verify-answer DIR --trust TRUST.json\` needs neither log nor audit. It shows that every row is about a
statement on the log and who signed it. That the other columns say what was sealed, and that there are no other rows, stays the auditor’s word; the latter anybody can check by an audit of his own.

**\`--sql\`** asks a SELECT of your own, of a file that is open for reading, by an engine that can open no other file, load no extension and change none of that. **\`--csv\`** is RFC 4180; a text that a spreadsheet would take for
a formula has an apostrophe before it. **\`--json\`** prints an object for each row and one at the end.

**\`provlog audit cross-check\`** holds a second source against the log: \`--ledger FILE.csv\` with a column \`digest\` (SHA-256 of the credential), or \`serial\`, \`jti\` or \`identifier\`, which are sealed and need an audit with a key; or
\`--certificates DIR\`. It lists what the log has no record of. No log can show what was never put on it: only such a source can, and only what is in it.
`
}

function questionText({ id, asks, arguments: taken, sealed }: Question): string {
  const args = Object.entries(taken).map(([name, { kind, about, default: otherwise }]) => {
    const what = typeof kind === 'object' ? kind.map((word) => `\`${word}\``).join(' ') : kind
    const without =
      otherwise === undefined ? '' : otherwise === null ? ' (may be left out)' : ` (default \`${otherwise}\`)`
    return `\`${name}\`: ${what}${about === '' ? '' : `, ${about}`}${without}`
  })
  return `| \`${id}\` | ${asks}${sealed ? ' *Opened.*' : ''} | ${args.join('<br>').replaceAll('|', '\\|')} |`
}

function tableText(name: string, { about, columns }: Table): string {
  const rows = columns.map(
    ({ name: column, type, about: what, opened }) =>
      `| \`${column}\` | ${typeText(type)} | ${[...(opened ? ['*Opened.*'] : []), ...(what === '' ? [] : [what])].join(' ')} |`,
  )
  return `## \`${name}\`\n\n${about}\n\n| column | type | what it is |\n|---|---|---|\n${rows.join('\n')}`
}

/** Closed lists that are long stand elsewhere. */
function typeText(type: ColumnType): string {
  if (typeof type === 'string') return sqlTypeOf(type)
  return type.length > 6 ? 'ENUM' : type.map((word) => `\`${word}\``).join(' ')
}
