import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'

describe('a command whose output nobody reads to its end', () => {
  it('ends as it would have: no error, its own exit code', async () => {
    const command = [
      '--conditions=provlog-source',
      '--import',
      'tsx',
      'clients/cli/bin.ts',
      'audit',
      'checks',
      '--json',
    ]
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    const [code] = await once(child, 'close')
    assert.deepEqual({ code, said }, { code: 0, said: '' })
  })
})
