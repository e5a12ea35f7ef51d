/**
 * `docs/errors.md`: every code that an answer may carry, made of the code's own tables: statuses and titles from
 * `log-server/problem.ts`, meanings from the comments beside the codes, and what can occur where from the description of the API.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MISBEHAVIOUR_CODES } from '../../clients/log-client/error.ts'
import { ACCESS_PROBLEMS, COMMON_PROBLEMS } from '../../log-server/http/openapi.ts'
import { buildApp, initLog, openLog } from '../../log-server/index.ts'
import { ServerMetrics } from '../../log-server/metrics/server-metrics.ts'
import { type ProblemCode, problemTable, REGISTRATION_PROBLEMS, statusOf } from '../../log-server/problem.ts'

/** Where codes are declared, each with its meaning beside it. */
const SOURCES = [
  'log-server/problem.ts',
  'log-server/types.ts',
  'merkle/error.ts',
  'statement/error.ts',
  'provenance/error.ts',
]

/** Whose codes the commands say besides. A log that is caught at it has codes of its own, and the exit code 5. */
const ROLES: readonly (readonly [who: string, sources: readonly string[]])[] = [
  [
    'reading a log',
    [
      'clients/log-client/error.ts',
      'clients/log-client/rotation.ts',
      'clients/log-client/policy-version.ts',
      'clients/log-client/evidence.ts',
    ],
  ],
  ['Verifier', ['clients/verifier/error.ts']],
  ['issuer', ['clients/issuer/error.ts']],
  ['issuer serve', ['clients/issuer/service/error.ts']],
  ['delivery', ['clients/delivery/error.ts']],
  ['auditor', ['clients/auditor/error.ts']],
  ['monitor', ['clients/monitor/error.ts']],
]

/** Of each declared code, its meanings: a code that several folders use may have several. */
export function meanings(sources: readonly string[] = SOURCES): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const source of sources) {
    for (const [, code = '', meaning] of readFileSync(source, 'utf8').matchAll(
      /^ {2}\| '([a-z0-9_]+)'(?: \/\/ +(.+))?$/gm,
    )) {
      found.set(code, [...(found.get(code) ?? []), ...(meaning === undefined ? [] : [meaning])])
    }
  }
  return found
}

interface Described {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly responses: Readonly<Record<string, { readonly description: string }>> }>>
    >
  >
}

/** The API's description, by the application itself over a new log. */
export async function describedApi(): Promise<Described> {
  const directory = mkdtempSync(join(tmpdir(), 'provlog-docs-'))
  const dataDir = join(directory, 'log')
  const now = () => 0
  await initLog({ dataDir, origin: 'log.example', now, random: (length) => new Uint8Array(randomBytes(length)) })
  const log = await openLog({ dataDir, now })
  try {
    const { http, registry, log: admission, close } = new ServerMetrics()
    close()
    const app = buildApp({ log, now, metrics: { http, admission, registry, listener: 'main' } })
    const { payload } = await app.inject('/openapi.json')
    await app.close()
    return JSON.parse(payload) as Described
  } finally {
    await log.close()
    rmSync(directory, { recursive: true })
  }
}

/** @param document `GET /openapi.json` */
export function errorsPage(document: Described): string {
  const said = meanings()
  const rows = problemTable().toSorted((a, b) => a.status - b.status || (a.code < b.code ? -1 : 1))
  const answered = answeredCodes(document)
  const unanswered = rows.filter(({ code }) => !answered.has(code))
  const cells = ({ code, status, title, fixer }: (typeof rows)[number]) =>
    `| \`${code}\` | ${status} | ${title} | ${fixer} | ${(said.get(code) ?? []).join('; ')} |`
  const head = '| code | status | title | who can fix it | what it means |\n|---|---|---|---|---|'
  return `# Errors

Made by \`npm run docs\` from the code. Every answer of 400 and above carries a **code**, which is API: codes are added, never renamed or
reused. It comes as concise problem details in CBOR (RFC 9290, under \`"tag:provlog.example,2026:problem"\`, \`"code"\`) on the paths of
SCRAPI, \`/entries\` and \`/.well-known/scitt-keys\`, and as \`application/problem+json\` (RFC 9457) elsewhere; \`Accept\` chooses the other form. Titles are SCRAPI's
where it has one. Details are for people and change. \`/readyz\` has a form of its own, in which the code is its \`reason\` ([operations.md](operations.md#is-it-well)); \`/metrics\` is not at every
address, and not found where it is not.

Who can fix it: **client**, the program that asks (its path, headers, bytes) · **signer**, whoever composed and signed the statement, of which
another must be made · **admin**, who says on the log whose keys may write what · **nobody**, because the log has it otherwise already, or no
longer · **time**: the same request may be answered after \`Retry-After\` seconds · **operator**, whoever runs the server.

## What an answer may carry

${head}
${rows
  .filter(({ code }) => answered.has(code))
  .map(cells)
  .join('\n')}

## Where

Any path may also answer ${byStatusText(COMMON_PROBLEMS)}.

Where the configuration says who may come in ([access.md](access.md)), any path may also answer ${byStatusText(ACCESS_PROBLEMS)}.

| method | path | statuses |
|---|---|---|
${pathRows(document).join('\n')}

¹ what registration refuses: ${byStatusText(REGISTRATION_PROBLEMS)}.

## What only programs of this project say

The same vocabulary in reports, in exit messages and from functions; no path answers with these.

| code | what it means |
|---|---|
${unanswered.map(({ code }) => `| \`${code}\` | ${(said.get(code) ?? []).join('; ')} |`).join('\n')}

## What commands say besides

By who says it: the same word may mean something else to somebody else. Exit codes are 0 ok, 1 refused, 2 usage, 3 unavailable, 4 not found, 5 the log misbehaved.

| code | said by | what it means |
|---|---|---|
| \`usage\` | every command | exit code 2: the words, or a file that they name, are not what the command takes |
| \`unavailable\`, \`E…\` | every command | exit code 3: the log did not answer, or this machine would not do it, by its own code |
${ROLES.flatMap(([who, sources]) => [...meanings(sources)].map(([code, texts]) => `| \`${code}\` | ${who}${misbehaviours.has(code) && who === 'reading a log' ? ', exit code 5' : ''} | ${texts.join('; ')} |`)).join('\n')}
`
}

/** Those of a log that contradicts what it signed. */
const misbehaviours: ReadonlySet<string> = new Set(MISBEHAVIOUR_CODES)

function answeredCodes({ paths }: Described): ReadonlySet<string> {
  const operations = Object.values(paths).flatMap((item) => Object.values(item))
  const descriptions = operations.flatMap(({ responses }) =>
    Object.values(responses).map(({ description }) => description),
  )
  return new Set([...descriptions.flatMap(codesIn), ...COMMON_PROBLEMS])
}

function pathRows({ paths }: Described): string[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => method !== 'head')
      .map(([method, { responses }]) => {
        const statuses = Object.entries(responses).filter(([status]) => status !== 'default')
        const codes = statuses.flatMap(([, { description }]) => codesIn(description))
        const registers = REGISTRATION_PROBLEMS.every((code) => codes.includes(code))
        const own = codes.filter((code) => !registers || !REGISTRATION_PROBLEMS.includes(code as ProblemCode))
        const text = statuses
          .filter(
            ([status, { description }]) =>
              Number(status) < 400 || statusesOf(own).has(Number(status)) || codesIn(description).length === 0,
          )
          .map(([status, { description }]) => {
            const named = codesIn(description).filter((code) => own.includes(code))
            return named.length > 0 ? `${status} (${named.map((code) => `\`${code}\``).join(', ')})` : status
          })
        const name = Object.hasOwn(item, 'head') ? `${method.toUpperCase()}, HEAD` : method.toUpperCase()
        return `| ${name} | \`${path}\` | ${[...text, ...(registers ? ['¹'] : [])].join(' · ')} |`
      }),
  )
}

function statusesOf(codes: readonly string[]): ReadonlySet<number> {
  return new Set(codes.map((code) => statusOf(code as ProblemCode)))
}

function codesIn(description: string): string[] {
  const known = new Set<string>(problemTable().map(({ code }) => code))
  return [...description.matchAll(/`([a-z0-9_]+)`/g)].map(([, code = '']) => code).filter((code) => known.has(code))
}

function byStatusText(codes: readonly ProblemCode[]): string {
  const statuses = [...new Set(codes.map(statusOf))].toSorted((a, b) => a - b)
  return statuses
    .map(
      (status) =>
        `${status} (${codes
          .filter((code) => statusOf(code) === status)
          .map((code) => `\`${code}\``)
          .join(', ')})`,
    )
    .join(', ')
}
