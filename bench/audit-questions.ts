/**
 * The auditor's database of a large log: how fast it is filled, and how long each named question takes. The bound of a question is one
 * second, so its ratio is how many times it could be asked in one.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { QUESTIONS, Questions } from '../clients/auditor/index.ts'
import { AuditState } from '../clients/auditor/state.ts'
import { appendLeaves, EMPTY_RANGE, HASH_LENGTH, hashLeaf, rangeRoot, toHex } from '../merkle/index.ts'
import { auditedEntry, digestOf, entryAt, ISSUER_KID, START, VERIFIER_KID } from './audited-entries.ts'
import type { BenchOptions, BenchResult } from './result.ts'

const ORIGIN = 'bench.example/audit'
const BUNDLE = 256

export async function benchQuestions({ quick }: BenchOptions): Promise<BenchResult[]> {
  const size = quick ? 20_000 : 1_000_000
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  try {
    await fillDatabase(directory, size)
    const questions = await Questions.open(directory)
    const results: BenchResult[] = []
    for (const { id } of QUESTIONS) {
      const given = new Map(Object.entries(argumentsFor(id, size)))
      const began = performance.now()
      for await (const _ of (await questions.ask(id, given, START + size)).rows);
      const ms = performance.now() - began
      results.push({
        name: `audit query ${id}, of ${size} entries`,
        ours: ms,
        bound: 1000,
        unit: 'ms',
        ratio: 1000 / ms,
        must: 1,
      })
    }
    questions.close()
    return results
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** As an audit would, from entries without a log. */
export async function fillDatabase(directory: string, size: number): Promise<void> {
  const state = await AuditState.open(directory, ORIGIN, 'bench')
  const indexes = new Map<string, number>()
  let audited = state.before
  for (let start = 0; start < size; start += BUNDLE) {
    const entries = Array.from({ length: Math.min(BUNDLE, size - start) }, (_, i) => auditedEntry(start + i))
    const leaves = new Uint8Array(entries.length * HASH_LENGTH)
    for (const [i, { index }] of entries.entries()) {
      leaves.set(hashLeaf(entryAt(index)), i * HASH_LENGTH)
      indexes.set(toHex(entryAt(index)), index)
    }
    audited = { ...audited, note: 'bench', range: appendLeaves(audited.range, leaves), records: start + entries.length }
    await state.add(entries, [], (entry) => indexes.get(entry))
    await state.reached(audited)
  }
  const root = rangeRoot(audited.range ?? EMPTY_RANGE)
  await state.finish({ origin: ORIGIN, size, root, note: 'bench', cosignatures: [] } as never, START, [])
  state.close()
}

/** What each question is asked with: something that is there. */
export function argumentsFor(id: string, size: number): Readonly<Record<string, string>> {
  const credential = toHex(digestOf(`credential ${35 + 200 * Math.floor(size / 400)}`))
  const known: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'by-firmware': { name: 'versions.microcode', versions: '<210' },
    'by-gpu': { what: 'VBIOS', versions: '<97' },
    'by-platform': { id: toHex(digestOf('chip 17').subarray(0, 8)) },
    'by-fact': { name: 'matched', value: 'release 4' },
    'by-appraisal-policy': { policy: 'main-appraisal-policy', up_to: '3' },
    'by-reference-values': { policy: 'main-reference-values', up_to: '3' },
    'by-issuance-policy': { policy: 'main-issuance-policy', up_to: '3' },
    'by-verifier-key': { kid: VERIFIER_KID, from: String(START), until: String(START + size / 2) },
    'by-issuer-key': { kid: ISSUER_KID },
    'by-authority': { role: 'verifier', id: 'spiffe://attest.example/verifier' },
    'by-component': { package: 'pkg:npm/package-37', versions: '<2.2' },
    'by-component-name': { name: 'package-37', versions: '<2.2' },
    'by-vulnerability': { vulnerability: 'cve-2026-3' },
    'by-cpe': { cpe: 'cpe:2.3:a:vendor-7:' },
    'by-builder': { builder: 'https://builder.example/7' },
    'by-vendor': { vendor: 'Vendor 7' },
    'test-failed': { test: 'fips' },
    'test-absent': { test: 'fips' },
    'by-tier': { tier: 'warning' },
    'by-claim': { claim: 'hardware', code: '32' },
    'delivered-by': { delivery: 'env' },
    lifetime: { longer_than: '86400' },
    'credentials-of': { subject: 'spiffe://bank.example/service-7' },
    diff: { first: '35', second: credential },
    'status-history': { credential },
    'identities-of': { measurement: toHex(digestOf('image 7')) },
    'by-attribute': { value: 'spiffe://bank.example/agent-7' },
    'same-key': { key: toHex(digestOf('key 35')) },
    'blast-radius': { statement: '3' },
    'stands-for': { credential },
  }
  return known[id] ?? {}
}
