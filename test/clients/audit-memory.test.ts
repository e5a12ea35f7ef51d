// What an audit remembers of an entry comes back from its row as it was: with the names that are not in the column, and with those that are.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { AuditedEntry } from '../../clients/auditor/audited-entry.ts'
import { formatMemory, parseMemory } from '../../clients/auditor/memory.ts'
import type { Recorded } from '../../clients/auditor/recorded.ts'
import { fromHex, toHex } from '../../merkle/index.ts'
import { type ProvenanceRecord, recordKey } from '../../provenance/index.ts'

const digest = (byte: number) => new Uint8Array(32).fill(byte)
const id = new Uint8Array(16).fill(7)
const kid = 'A'.repeat(43)
const common = { entry: toHex(digest(1)), identity: toHex(digest(2)), unique: [recordKey(id)] }

/** By its columns, as the database has them. */
function throughItsRow(recorded: Recorded, type?: ProvenanceRecord['type']): { back: Recorded; memory: string } {
  const record = type && ({ type, id } as ProvenanceRecord)
  const memory = formatMemory({ recorded, ...(record && { record }) } satisfies Pick<
    AuditedEntry,
    'recorded' | 'record'
  >)
  const { entry, identity, target } = recorded
  const row = [recorded.target?.index ?? 5, fromHex(entry), identity === '' ? null : fromHex(identity)] as const
  const of = record ? ([record.type, target!.issuedAt, target!.signer, id] as const) : ([null, 0, '', null] as const)
  return { back: parseMemory([...row, ...of, memory]), memory }
}

const target = (type: ProvenanceRecord['type']) => ({ index: 5, type, issuedAt: 1_760_000_000, signer: kid })

it('gives a credential its digest and its signer’s tags back, of which the column has each hash once', () => {
  const credential = toHex(digest(3))
  const tag = toHex(new Uint8Array(16).fill(4))
  const names = [`credential:${credential}`, `intent:${toHex(digest(5))}`, `unique:${kid}:${tag}`, `unique:${kid}:`]
  const recorded: Recorded = {
    ...common,
    unique: [...common.unique, ...names],
    target: { ...target('credential-provenance'), credentialDigest: credential },
    uses: [toHex(digest(6))],
  }
  const { back, memory } = throughItsRow(recorded, 'credential-provenance')
  assert.deepEqual(back, recorded)
  assert.equal(memory.split(credential).length - 1, 1)
  assert.equal(memory.includes(kid), false)
})

it('gives a series its type and its signer back, whatever the rest of its name is', () => {
  for (const rest of ['main', '', '/', '//main', `attestation-result/${kid}/main`]) {
    const recorded: Recorded = {
      ...common,
      target: { ...target('attestation-result'), criteria: [toHex(digest(8)), toHex(digest(9))] },
      period: [1, null],
      series: `attestation-result/${kid}/${rest}`,
    }
    assert.deepEqual(throughItsRow(recorded, 'attestation-result').back, recorded)
  }
})

it('leaves names alone that do not begin as those of their row do', () => {
  const other = 'B'.repeat(43)
  const recorded: Recorded = {
    ...common,
    unique: [...common.unique, `unique:${other}:00`, `general:${toHex(digest(5))}`],
    target: target('retraction'),
    series: `retraction/${other}/${kid}`,
    statement: digest(9),
  }
  assert.deepEqual(throughItsRow(recorded, 'retraction').back, recorded)
})

it('remembers what is no record, and what is gone', () => {
  const foreign: Recorded = { ...common, unique: [], target: { index: 5, type: 'foreign', issuedAt: 9, signer: 'x' } }
  assert.deepEqual(throughItsRow(foreign).back, foreign)
  const erased: Recorded = { entry: common.entry, identity: '', unique: [], erased: true }
  assert.deepEqual(throughItsRow(erased).back, erased)
})
