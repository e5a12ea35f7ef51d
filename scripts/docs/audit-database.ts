/**
 * `docs/audit-database.md`: the tables of an auditor's database, made of the schema itself.
 *
 * @module
 */
import { type ColumnType, sqlTypeOf } from '../../clients/auditor/database/duckdb.ts'
import { TABLES, type Table, VIEWS } from '../../clients/auditor/database/schema.ts'

export function auditDatabasePage(): string {
  return `# The auditor’s database

Made by \`npm run docs\` from the schema. \`provlog audit run --state DIR\` leaves one DuckDB file, \`DIR/database/audit.duckdb\`: everything that the log says, as tables. \`provlog audit query\` asks it
questions; \`--sql\` asks it anything. It is made from the log alone, so it may be deleted at any time: the next audit makes it again.

**What it holds in clear.** Without a key, what everybody can read on the log. With \`--key\`, also what that key opens: names of workloads, serial numbers, bills of materials, what Evidence said. Columns
marked *opened* are of that kind, and NULL where nothing was opened. The directory is 0700 and the file 0600; whoever copies it copies the plaintext. Private keys, credentials and wraps are never in
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
`
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
