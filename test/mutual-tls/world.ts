/**
 * Two trust domains, and certificates of one of them with one thing wrong each: for both ends of a connection, and for `openssl verify`.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Extension, KeyUsageFlags } from '@peculiar/x509'
import { initLog } from '../../log-server/init.ts'
import { type RunningServer, type ServerOptions, startServer } from '../../log-server/main.ts'
import {
  authority,
  CLIENT,
  certify,
  constraints,
  type Edits,
  extension,
  type Holder,
  keyPem,
  names,
  pem,
  pemBlock,
  purposes,
  revocationList,
  SERVER,
  SUBJECT,
  uris,
  usage,
  without,
  workload,
} from '../certificates/authority.ts'
import { notRandom, ORIGIN } from '../provenance/small-log.ts'

export type Side = 'client' | 'server'

export const NOW = Math.floor(Date.now() / 1000)
const HOUR = 3600
/** Of the trust domain: seconds. */
export const MAX_LIFETIME = 24 * HOUR

export const issue = (name: string, edits: Edits = {}) =>
  certify(name, { notBefore: NOW - HOUR, notAfter: NOW + HOUR, ...edits })

const bank = await issue('bank root')
const partner = await issue('partner root')
const shallow = await issue('bank root of pathLen 0', { extensions: authority(0) })
const narrow = await issue('bank root for another host', {
  extensions: authority(undefined, constraints({ permitted: [['uri', 'other.example']] })),
})
const below = await issue('bank intermediate', { issuer: shallow })
const middle = await issue('bank issuing', { issuer: bank })

/** The anchors of the trust domain of {@link SUBJECT}, of another one, and revocation lists of all that issue in the former. */
export const anchors = { bank: [bank, shallow, narrow], partner: [partner] }

/** A certificate, and those between it and an anchor. */
export interface Shown {
  readonly holder: Holder
  readonly between: readonly Holder[]
}

const leaf = async (edits: Edits = {}, ...between: Holder[]): Promise<Shown> => ({
  holder: await issue('leaf', { issuer: bank, extensions: workload(), ...edits }),
  between,
})
const withExtensions = (...change: Extension[]) => leaf({ extensions: workload(...change) })
const caUsage = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign

export interface Case {
  readonly what: string
  /** Of the refusal; undefined where it holds. */
  readonly code: string | undefined
  readonly shown: (side: Side) => Promise<Shown>
  /** Why OpenSSL says the opposite, where it has no word for the rule. */
  readonly beyondOpenssl?: string
}

export const revoked = await leaf()

export const cases: readonly Case[] = [
  { what: 'a valid certificate', code: undefined, shown: () => leaf() },
  { what: 'a valid certificate below an intermediate', code: undefined, shown: () => leaf({ issuer: middle }, middle) },
  {
    what: 'a certificate without extKeyUsage',
    code: undefined,
    shown: () => leaf({ extensions: without(workload(), '2.5.29.37') }),
  },
  {
    what: 'a certificate of another trust domain’s anchor',
    code: 'unknown_anchor',
    shown: () => leaf({ issuer: partner }),
  },
  {
    what: 'a certificate of another trust domain’s anchor that has the name of ours',
    code: 'bad_signature',
    shown: () => leaf({ issuer: { ...partner, name: bank.name } }),
  },
  { what: 'one that expired', code: 'credential_expired', shown: () => leaf({ notAfter: NOW - 60 }) },
  { what: 'one that is not valid yet', code: 'credential_not_yet_valid', shown: () => leaf({ notBefore: NOW + 600 }) },
  {
    what: 'one for the other side alone',
    code: 'certificate_wrong_usage',
    shown: (side) => withExtensions(purposes(side === 'client' ? SERVER : CLIENT)),
  },
  {
    what: 'an authority',
    code: 'certificate_is_ca',
    shown: () => leaf({ extensions: [authority()[0]!, usage(caUsage), uris(SUBJECT)] }),
    beyondOpenssl: 'any certificate may be at the end of a path',
  },
  {
    what: 'one with two identifiers',
    code: 'identifier_ambiguous',
    shown: () => withExtensions(uris(SUBJECT, 'spiffe://bank.example/admin')),
    beyondOpenssl: 'it knows no identifiers',
  },
  {
    what: 'one whose identifier is its common name',
    code: 'identifier_missing',
    shown: () =>
      leaf({ subject: `CN=${SUBJECT}`, extensions: workload(names([{ type: 'dns', value: 'bank.example' }])) }),
    beyondOpenssl: 'it knows no identifiers',
  },
  {
    what: 'one with an unknown critical extension',
    code: 'unknown_critical_extension',
    shown: () => withExtensions(extension('1.3.6.1.4.1.99999.1', '0500')),
  },
  {
    what: 'one below more intermediates than pathLen allows',
    code: 'certificate_path_too_long',
    shown: () => leaf({ issuer: below }, below),
  },
  { what: 'one outside of name constraints', code: 'name_not_permitted', shown: () => leaf({ issuer: narrow }) },
  { what: 'one that is revoked', code: 'certificate_revoked', shown: async () => revoked },
  { what: 'one with a weak key', code: 'weak_key', shown: () => leaf({ kind: 'RSA-1024' }) },
  {
    what: 'one that lives too long',
    code: 'lifetime_too_long',
    shown: () => leaf({ notAfter: NOW + 2 * MAX_LIFETIME }),
    beyondOpenssl: 'it has no word on lifetimes',
  },
]

const period = { thisUpdate: NOW - HOUR, nextUpdate: NOW + HOUR }
/** In PEM, of every authority of the bank. */
export const lists: readonly string[] = await Promise.all(
  [bank, shallow, narrow, below, middle].map(async (issuer) =>
    pemBlock(
      'X509 CRL',
      await revocationList(issuer, {
        ...period,
        entries: issuer === bank ? [{ serial: revoked.holder.serial }] : [],
      }),
    ),
  ),
)

export const directory = mkdtempSync(join(tmpdir(), 'provlog-mutual-tls-'))
export const removeDirectory = () => rmSync(directory, { recursive: true })

export function write(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

/** Whoever shows a weak key has a TLS library that lets them: OpenSSL since 3.5, in Node 24, does not by itself. */
export const SHOWS_ANYTHING = { ciphers: 'DEFAULT:@SECLEVEL=0' }

export async function pairOf({ holder, between }: Shown): Promise<{ cert: string; key: string }> {
  return { cert: pem(holder, ...between), key: await keyPem(holder) }
}

export const opensslVersion = spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout?.trim()

/** With the anchors of the one trust domain alone. @returns why it refuses */
export function opensslRefusal({ holder, between }: Shown, side: Side): string | undefined {
  const files = [
    ...['-CAfile', write('anchors.pem', pem(...anchors.bank)), '-CRLfile', write('lists.pem', lists.join(''))],
    ...(between.length > 0 ? ['-untrusted', write('between.pem', pem(...between))] : []),
  ]
  const options = [
    ...['-no-CAfile', '-no-CApath', '-no-CAstore', '-auth_level', '2', '-crl_check'],
    ...['-purpose', side === 'client' ? 'sslclient' : 'sslserver'],
  ]
  const { status, stderr } = spawnSync('openssl', ['verify', ...options, ...files, write('leaf.pem', pem(holder))], {
    encoding: 'utf8',
  })
  return status === 0 ? undefined : (/error [0-9]+ at .*/.exec(stderr)?.[0] ?? stderr.trim())
}

export interface ServedLog {
  readonly server: RunningServer
  /** Of its certificate and key, to be exchanged for others. */
  readonly tls: { readonly cert: string; readonly key: string }
}

/** A log with these rules on a port of its own. */
export async function serveLog(
  name: string,
  { access, shown, ...options }: { access: object; shown: Shown } & Partial<ServerOptions>,
): Promise<ServedLog> {
  const dataDir = join(directory, name)
  await initLog({ dataDir, origin: ORIGIN, now: () => 100, random: notRandom(name) })
  const { cert, key } = await pairOf(shown)
  const tls = { cert: write(`${name}-server.pem`, cert), key: write(`${name}-server-key.pem`, key) }
  const config = join(dataDir, 'config.json')
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), server: { tls, access } }))
  return { server: await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 }, ...options }), tls }
}
