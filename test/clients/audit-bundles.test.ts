// Memory that an audit shares with its threads is used again: no collector counts it, so none would come by for it.
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { StatementReader } from '../../clients/auditor/read-statements.ts'

/** A statement that the log no longer keeps, in memory that threads share. */
const erased = () => new Uint8Array(new SharedArrayBuffer(4))

it('is free at once where statements are read as views: those are of a copy that is not shared', async () => {
  const reader = new StatementReader(() => undefined)
  const sent = erased()
  const checked = await reader.ahead(sent, 1)
  assert.ok(checked.bytes.buffer instanceof ArrayBuffer)
  assert.equal(reader.room()?.buffer, sent.buffer)
  reader.release(checked)
  assert.equal(reader.room(), undefined)
  reader.close()
})

it('is free when it is released where what is read is kept', async () => {
  const reader = new StatementReader(() => undefined, { keep: true })
  const sent = erased()
  const checked = await reader.ahead(sent, 1)
  assert.equal(checked.bytes.buffer, sent.buffer)
  assert.equal(reader.room(), undefined)
  reader.release(checked)
  assert.equal(reader.room()?.buffer, sent.buffer)
  reader.close()
})
