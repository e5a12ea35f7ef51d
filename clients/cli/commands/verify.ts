/** `verify`: is this credential good, and why was it issued? Offline, or with a look at the log. @module */
import { toHex } from '../../../merkle/index.ts'
import { type Check, redact, type VerificationReport } from '../../../provenance/index.ts'
import {
  type ChainReport,
  decisionRecord,
  verifyChain,
  verifyOffline,
  verifyOnline,
} from '../../relying-party/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import type { Io } from '../io.ts'
import { readDecryptionKey } from '../key-files.ts'
import { connectionFlags, readTrust, trustedClient } from '../log-access.ts'
import { presentationFlags, presentationOf } from '../presentation.ts'

export const verify: Command = {
  name: 'verify',
  summary: 'check a credential and its bundle against what you trust',
  positionals: { CREDENTIAL: 'a token, or a certificate in PEM or DER' },
  flags: {
    bundle: { value: 'F', about: 'the credential’s bundle', required: true },
    trust: { value: 'TRUST.json', about: 'the logs, trust domains, issuers and verifiers you trust', required: true },
    log: { value: 'URL', about: 'also ask the log for its newest checkpoint and the credential’s status' },
    ...connectionFlags,
    original: { value: 'F', about: 'the credential that a gateway shows CREDENTIAL in the place of' },
    'original-bundle': { value: 'F', about: 'with --original: its bundle' },
    open: { value: 'KEY.jwk', about: 'a decryption key: opens the sealed sections and checks what they say' },
    at: { value: 'TIME', about: 'judge as of that time; default now' },
    ...presentationFlags,
    decision: {
      value: 'F',
      about: 'write what was decided of one credential: a line of JSON, for your log and for auditors',
    },
  },

  async run(args, io) {
    const [original, originalBundle] = [args.optional('original'), args.optional('original-bundle')]
    if ((original === undefined) !== (originalBundle === undefined)) {
      throw new UsageError('--original goes with --original-bundle')
    }
    const decision = args.optional('decision')
    if (original !== undefined && decision !== undefined) {
      throw new UsageError('--decision is of one credential, without --original')
    }
    const trust = await readTrust(io, args.text('trust'))
    const openPath = args.optional('open')
    const presented = await presentationOf(args, io)
    const at = args.time('at') ?? io.now()
    const input = {
      credential: await io.readFile(args.positionals[0] ?? ''),
      bundle: await io.readFile(args.text('bundle')),
      trust,
      at,
      ...(openPath === undefined ? {} : { openWith: await readDecryptionKey(io, openPath) }),
      ...(presented && { presented }),
    }
    const url = args.optional('log')
    if (original !== undefined && originalBundle !== undefined) {
      const client = url === undefined ? {} : { client: await trustedClient(trust, args, io) }
      const { presented: _ofTheFirst, ...ofFiles } = input
      const second = { ...ofFiles, credential: await io.readFile(original), bundle: await io.readFile(originalBundle) }
      const chain = await verifyChain([
        { ...input, ...client },
        { ...second, ...client },
      ])
      if (args.has('json')) io.out(jsonOf(chain))
      else printChain(chain, io)
      return chain.ok ? Exit.ok : Exit.refused
    }
    const report =
      url === undefined
        ? await verifyOffline(input)
        : await verifyOnline({ ...input, client: await trustedClient(trust, args, io) })

    if (decision !== undefined) await io.writeFile(decision, `${decisionRecord(report, at)}\n`)
    if (args.has('json')) io.out(jsonOf(report))
    else printReport(report, io)
    return report.ok ? Exit.ok : Exit.refused
  },
}

/** What was opened has digests and maps in it, which JSON does not: in hex, and as objects. */
function jsonOf(report: VerificationReport | ChainReport): string {
  return JSON.stringify(report, (_, value: unknown) => {
    if (value instanceof Uint8Array) return toHex(value)
    return value instanceof Map ? Object.fromEntries(value) : value
  })
}

function printChain({ credentials, checks, ok }: ChainReport, io: Io): void {
  for (const report of credentials) printReport(report, io)
  for (const check of checks) io.out(`${mark(check, io)} ${check.title}: ${redact(check.detail, 2048)}`)
  if (ok) io.out(io.style('green', 'ok, the chain'))
  else io.err(io.style('red', 'refused (the chain)'))
}

/** One line a check: passed, FAILED or not checked, and why. */
export function printReport(report: VerificationReport, io: Io): void {
  for (const check of report.checks) io.out(`${mark(check, io)} ${check.title}: ${redact(check.detail, 2048)}`)
  const failed = report.checks.filter(({ outcome }) => outcome === 'failed')
  const unchecked = report.checks.filter(({ outcome }) => outcome === 'not-checked').length
  const past = report.checks.filter(({ outcome, fresh }) => outcome === 'passed' && fresh === false).map(({ id }) => id)
  const stale = past.length === 0 ? '' : `; as of the bundle, not of now: ${past.join(', ')}`
  if (report.ok) io.out(io.style('green', `ok (${report.mode}), ${unchecked} not checked${stale}`))
  else io.err(io.style('red', `refused (${failed.map(({ code, id }) => code ?? id).join(', ') || 'incomplete'})`))
}

function mark({ outcome }: Check, io: Io): string {
  if (outcome === 'passed') return io.style('green', '  passed     ')
  if (outcome === 'failed') return io.style('red', '  FAILED     ')
  return io.style('dim', '  not checked')
}
