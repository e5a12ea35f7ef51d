/**
 * `docs/formats.md`: each format once, explained, with a real example. The text is made here; the examples are files under
 * `docs/examples/formats`, so that a second implementation can use them and a test can hold both to each other.
 *
 * @module
 */
import { CHECKS, type CheckId, isSettled } from '../../clients/auditor/index.ts'
import { fromBase64url, fromUtf8, toHex } from '../../merkle/index.ts'
import { diagnose } from './diagnose.ts'

export const EXAMPLES_FOLDER = 'docs/examples/formats'

interface Format {
  readonly title: string
  readonly specification: string
  readonly about: string
  readonly show: (bytes: Uint8Array) => string
}

const text = (bytes: Uint8Array) => fromUtf8(bytes).trimEnd()
const hexRows = (bytes: Uint8Array) => (toHex(bytes).match(/.{1,64}/g) ?? []).slice(0, 6).join('\n')

/** Header and claims of a compact JWS, as JSON. */
function jws(bytes: Uint8Array): string {
  const [header = '', payload = ''] = text(bytes).split('.')
  const readable = (part: string) => shortened(JSON.stringify(JSON.parse(fromUtf8(fromBase64url(part))), null, 2))
  return `${readable(header)}\n.\n${readable(payload)}\n.\n(signature)`
}

/** Long strings cut, so that the shape stays visible. */
function shortened(json: string): string {
  return json.replace(/"([^"\n]{90})[^"\n]+"/g, '"$1…"')
}

/** Of the checks that take no key and no end, those that depend on more than the entries. */
const NOT_SETTLED = Object.entries(CHECKS)
  .filter(([id, { needs }]) => (needs === 'statement' || needs === 'history') && !isSettled(id as CheckId))
  .map(([id]) => `\`${id}\``)
  .join(', ')

const FORMATS = {
  'log.vkey': {
    title: 'Verifier key',
    specification: 'C2SP signed-note',
    about:
      'The log’s checkpoint key, as `log init` prints it and a trust file pins it: name, key id, and base64 of the type byte 0x01 and the Ed25519 key.',
    show: text,
  },
  'checkpoint.txt': {
    title: 'Checkpoint',
    specification: 'C2SP tlog-checkpoint',
    about:
      '`GET /checkpoint`. Origin, tree size, root, a blank line, then one line for each signature. No extension lines.',
    show: text,
  },
  'entry.tlog-proof': {
    title: 'Inclusion proof file',
    specification: 'C2SP tlog-proof',
    about: '`provlog proof`. The path from one leaf to the root of the checkpoint that follows it.',
    show: text,
  },
  'tile.bin': {
    title: 'Tile',
    specification: 'C2SP tlog-tiles',
    about:
      '`GET /tile/0/000.p/<width>`: the hashes of one level side by side, 32 bytes each, 256 when full. Partial tiles are not stored: they are the beginning of what holds them, served for the widths that some published checkpoint implied.',
    show: hexRows,
  },
  'entries.bin': {
    title: 'Entry bundle',
    specification: 'C2SP tlog-tiles',
    about:
      '`GET /tile/entries/000.p/<width>`: for each entry a 16-bit big-endian length, which is always 32, and the entry: the SHA-256 of a statement.',
    show: hexRows,
  },
  'statement.cose': {
    title: 'Signed statement',
    specification: 'RFC 9943 §6, RFC 9052',
    about:
      'What is submitted to `POST /entries` and, with its unprotected header emptied, what the entry is the SHA-256 of. This one is a `credential-provenance` record: in clear the credential’s digest, validity and links; sealed, each under its own committed key, what only some may read. While it travels, the unprotected header may carry wraps under `provlog-wraps`; they are stored beside the log and are not in the leaf.',
    show: diagnose,
  },
  'intent.cose': {
    title: 'Issuance intent',
    specification: 'ours; after the precertificates of RFC 6962',
    about:
      'With `issuer issue --embed`, logged before the credential is signed: its kind, its validity, its grounds (the same links), and commitments to its `jti` or serial number, its subject and its key, which who has the credential can recompute: SHA-256 over CBOR `["provlog/intent/v1", what, kind, identifier, value]`. The credential names this entry, the record of the credential links it, and `verify` holds each against the others. The log takes one credential for each intent.',
    show: diagnose,
  },
  'retraction.cose': {
    title: 'Retraction',
    specification: 'ours',
    about:
      'A key, a policy or reference values withdrawn from `effectiveAt` on, by whose they are; a key also by the log’s admin. Whatever comes to the log after it rests on that no more, bundles of what did before bring it along, and `verify` refuses a credential issued at `effectiveAt` or later (with `strictRetractions` in the trust file an earlier one too).',
    show: diagnose,
  },
  'audit-report.cose': {
    title: 'Audit report',
    specification: 'ours; after the verification summaries of SLSA',
    about: `What an auditor found who replayed every entry below \`size\`: the root of that tree, counts and verdict (\`passed\` with neither errors nor warnings). \`provlog audit report --sign\` makes it, under the auditor’s key-authorization; \`from\` is the size of the report before, which it links to. The findings stay with the auditor. \`findings\` and \`settled\` are SHA-256 over one line for each, in ASCII, sorted by index and then as bytes: \`<index> <check> <entry that it is about, or ->\` and a line feed. \`settled\` is of those alone that follow from the entries, whoever replays them, whenever and with whichever key: checks that need the statement or what came before it, but for ${NOT_SETTLED}. Whoever replays the log by the same \`catalogue\` holds root and \`settled\` against its own (\`audit-report-differs\` in [audit-checks.md](audit-checks.md)). The log takes no report on entries that it did not have, and its operator cannot erase one.`,
    show: diagnose,
  },
  'receipt.cose': {
    title: 'Receipt',
    specification: 'RFC 9942',
    about:
      'The answer to `POST /entries`. 395 names the kind of tree (1, RFC 9162 with SHA-256), 396 carries the inclusion proof `[size, index, path]`. The payload is detached: it is the root that the path leads to. The protected header binds the log (`iss`) and `tree_size`, which no receipt format does by itself, and says nothing about one statement, so that one signature serves a batch.',
    show: diagnose,
  },
  'transparent-statement.cose': {
    title: 'Transparent statement',
    specification: 'RFC 9943 §7',
    about:
      '`GET /entries/{id}/statement`: the statement with its receipts under 394. Emptying the unprotected header again gives back the registered bytes.',
    show: (bytes: Uint8Array) => `${diagnose(bytes).slice(0, 700)}\n…`,
  },
  'wrap.json': {
    title: 'Wrap',
    specification: 'RFC 7516, General JSON serialization',
    about:
      'The content keys of a record’s sealed sections for one recipient: ECDH-ES+A256KW over a CBOR map of the record’s id and label → key. Destroying the wraps erases the sections; every proof stays valid.',
    show: (bytes: Uint8Array) => shortened(JSON.stringify(JSON.parse(fromUtf8(bytes)), null, 2)),
  },
  'evidence.jwt': {
    title: 'Evidence: measured files',
    specification: 'RFC 9711 (EAT)',
    about:
      'SHA-256 of each file of a workload, signed by an attester key, and the workload’s key under `cnf`. Rooted in software: whoever holds the attester key can state any measurement.',
    show: jws,
  },
  'reference-values.json': {
    title: 'Reference values',
    specification: 'ours',
    about:
      'What evidence is compared with: the attesters believed, and the measurements of software that is as it should be. Published by `verifier publish-reference-values`.',
    show: text,
  },
  'result.ear': {
    title: 'Attestation result',
    specification: 'draft-ietf-rats-ear-03, JSON as JWT',
    about:
      'The Verifier’s signed verdict, as `verifier appraise` makes it. No status is better than its trustworthiness vector.',
    show: jws,
  },
  'credential.jwt': {
    title: 'Workload Identity Token',
    specification: 'draft-ietf-wimse-workload-creds',
    about:
      '`jti` is always present. SHA-256 of the exact characters is the credential digest, and also the `wth` of a proof token. The claim `urn:oid:1.2.840.113556.1.8000.2554.…` is there with `--embed`: log, entry and index of the intent.',
    show: jws,
  },
  'credential.pem': {
    title: 'Workload identity certificate',
    specification: 'RFC 5280, X509-SVID',
    about:
      'One URI SAN. SHA-256 of the DER is the credential digest. With `--embed` there is an extension, not critical: `LogReference ::= SEQUENCE { log UTF8String, entry OCTET STRING (SIZE (32)), index INTEGER OPTIONAL }` under 1.2.840.113556.1.8000.2554.19890.59943.3934.16428.49123.14670975.7678298, which is also the name of the claim in a token. The OID is a UUID (4db2ea27-0f5e-402c-bfe3-dfdc7f75295a) in seven arcs, by the scheme that Microsoft published for whoever has no arc of his own: nobody else can have been given it. The arc for UUIDs, 2.25, would be one number of 128 bits, and Go refuses a whole certificate for an arc of more than 31.',
    show: text,
  },
  'bundle.provlog': {
    title: 'Bundle',
    specification: 'ours',
    about:
      '`GET /v1/provenance/{credential digest}`, and what the issuer hands over with a credential: the record, everything it links to and status records so far, as transparent statements whose receipts all lead to the root of the one checkpoint in it; and wraps. Nothing in a bundle is trusted to name its own trust. For up to 250 digests in a CBOR array `POST /v1/provenance` answers with a bundle set, `application/vnd.provlog.bundles+cbor`, which is laid out in `provenance/verification/bundle-set.ts`: the checkpoint and every statement once, and for each credential the places of its statements.',
    show: (bytes: Uint8Array) => `${diagnose(bytes).slice(0, 1500)}\n…`,
  },
  'TRUST.json': {
    title: 'Trust file',
    specification: 'ours; trust domains as SPIFFE bundles',
    about: 'All that a relying party or an auditor pins, made by `provlog trust`.',
    show: (bytes: Uint8Array) => shortened(text(bytes)),
  },
  'problem.cbor': {
    title: 'Problem',
    specification: 'RFC 9290',
    about:
      'The body of every 4xx and 5xx on SCITT paths. `code` is stable; elsewhere the same goes out as `application/problem+json`.',
    show: diagnose,
  },
} as const satisfies Record<string, Format>

export type ExampleName = keyof typeof FORMATS
export const EXAMPLE_NAMES = Object.keys(FORMATS) as readonly ExampleName[]

/** The whole page. */
export function formatsPage(example: (name: ExampleName) => Uint8Array): string {
  const sections = EXAMPLE_NAMES.map((name) => {
    const { title, specification, about, show } = FORMATS[name]
    const bytes = example(name)
    return `## ${title}\n\n*${specification}* · [\`${name}\`](examples/formats/${name}), ${bytes.length} bytes\n\n${about}\n\n\`\`\`\n${show(bytes)}\n\`\`\``
  })
  const head = [
    '# Formats',
    'Each format once, by a real example: one log, one workload, one credential, made by the commands of this repository',
    '(`npm run docs`) and checked by its tests. CBOR is shown in diagnostic notation, long byte strings cut; the whole',
    'bytes are the files linked. The keys were thrown away.',
  ].join('\n')
  return `${head.replace('\n', '\n\n')}\n\n${sections.join('\n\n')}\n`
}
