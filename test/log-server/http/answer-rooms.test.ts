import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { AnswerRooms } from '../../../log-server/http/answer-rooms.ts'

const answer = () => new EventEmitter() as ServerResponse

describe('the memory of an answer', () => {
  it('is that of another one once all of it was sent, and not before', () => {
    const rooms = new AnswerRooms()
    const [one, two, three] = [answer(), answer(), answer()]
    const first = rooms.take(1000, one)
    assert.notEqual(rooms.take(1000, two).buffer, first.buffer)
    one.emit('finish')
    const again = rooms.take(1100, three)
    assert.equal(again.buffer, first.buffer)
    assert.equal(again.length, 1100)
  })

  it('is nobody’s any more when its connection broke', () => {
    const rooms = new AnswerRooms()
    const broken = answer()
    const room = rooms.take(1000, broken)
    broken.emit('close')
    assert.notEqual(rooms.take(1000, answer()).buffer, room.buffer)
  })

  it('is never much more than its length, and of eight answers at most', () => {
    const rooms = new AnswerRooms()
    const large = answer()
    const room = rooms.take(100_000, large)
    large.emit('finish')
    assert.notEqual(rooms.take(1000, answer()).buffer, room.buffer)

    const many = Array.from({ length: 9 }, answer)
    for (const each of many) rooms.take(1000, each)
    for (const each of many) each.emit('finish')
    // The oldest of the spare ones went.
    assert.notEqual(rooms.take(100_000, answer()).buffer, room.buffer)
  })
})
