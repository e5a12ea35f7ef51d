import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromHex, toHex, utf8 } from '../../../merkle/bytes.ts'
import {
  checkUnread,
  derBoolean,
  derNamedBits,
  derOid,
  derTime,
  derUnsigned,
  readDer,
  TAG,
} from '../../../provenance/certificates/der.ts'

const read = (hex: string) => readDer(fromHex(hex))

describe('readDer', () => {
  it('reads short and long lengths', () => {
    assert.equal(read('0500').content.length, 0)
    assert.equal(read(`0481c8${'00'.repeat(200)}`).content.length, 200)
    assert.equal(read(`04820100${'00'.repeat(256)}`).content.length, 256)
  })

  const refused: [what: string, hex: string][] = [
    ['nothing', ''],
    ['half a header', '30'],
    ['an indefinite length', '30800000'],
    ['a long length that fits one byte', `04817f${'00'.repeat(127)}`],
    ['a length with a leading zero', `048200c8${'00'.repeat(200)}`],
    ['a length past the end', '0402aa'],
    ['a length of four bytes', '04840000000100'],
    ['bytes after the end', '050000'],
    ['a high tag number', '1f0100'],
    ['end-of-contents', '0000'],
  ]
  for (const [what, hex] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => read(hex), { code: 'malformed_der' }))
  }
})

describe('DER values', () => {
  it('passes over nothing that is no DER inside', () => {
    for (const hex of ['0500', '30020500', 'a0020500', '3100', '0c0161']) checkUnread(read(hex))
    for (const hex of ['2500', '30022500', '1000', '3003020200', '030108', '0c8100', '2c0161']) {
      assert.throws(() => checkUnread(read(hex)), { code: 'malformed_der' }, hex)
    }
  })

  it('reads integers in their shortest form only', () => {
    assert.equal(toHex(derUnsigned(read('02020080'))), '80')
    assert.equal(toHex(derUnsigned(read('020100'))), '00')
    for (const hex of ['02020001', '0200', '0201ff', '010100']) {
      assert.throws(() => derUnsigned(read(hex)), { code: 'malformed_der' })
    }
  })

  it('reads Booleans as 00 and FF only', () => {
    assert.equal(derBoolean(read('0101ff')), true)
    assert.equal(derBoolean(read('010100')), false)
    for (const hex of ['010101', '0102ffff', '0201ff'])
      assert.throws(() => derBoolean(read(hex)), { code: 'malformed_der' })
  })

  it('reads object identifiers', () => {
    assert.equal(derOid(read('06082a8648ce3d040302')), '1.2.840.10045.4.3.2')
    assert.equal(derOid(read('0603883703')), '2.999.3')
    for (const hex of ['0600', '060180', '06028001', '060281'])
      assert.throws(() => derOid(read(hex)), { code: 'malformed_der' })
  })

  it('reads named bits without trailing zeros', () => {
    assert.deepEqual([...derNamedBits(read('03020106'))], [5, 6])
    assert.deepEqual([...derNamedBits(read('03020780'))], [0])
    assert.deepEqual([...derNamedBits(read('030100'))], [])
    for (const hex of ['0300', '03020006', '03020701', '03020880', '030101']) {
      assert.throws(() => derNamedBits(read(hex)), { code: 'malformed_der' })
    }
  })

  it('reads times, and no times that do not exist', () => {
    const time = (tag: number, text: string) => derTime({ tag, content: utf8(text), whole: utf8(text) })
    assert.equal(time(TAG.utcTime, '491231235959Z'), Date.UTC(2049, 11, 31, 23, 59, 59) / 1000)
    assert.equal(time(TAG.utcTime, '500101000000Z'), Date.UTC(1950, 0, 1) / 1000)
    assert.equal(time(TAG.generalizedTime, '99991231235959Z'), Date.UTC(9999, 11, 31, 23, 59, 59) / 1000)
    const refused: [number, string][] = [
      [TAG.utcTime, '230229000000Z'],
      [TAG.utcTime, '2302280000Z'],
      [TAG.utcTime, '230228000000+0000'],
      [TAG.utcTime, '20230228000000Z'],
      [TAG.generalizedTime, '20230228000000.5Z'],
      [TAG.generalizedTime, '20230228240000Z'],
      [TAG.generalizedTime, '20231301000000Z'],
      [TAG.generalizedTime, '20230200000000Z'],
      [TAG.utcTime, '23022800000/Z'],
      [TAG.utcTime, ''],
      [TAG.utcTime, '1'.repeat(1_000_000)],
    ]
    for (const [tag, text] of refused) assert.throws(() => time(tag, text), { code: 'malformed_der' })
  })
})
