import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { Exit } from '../../clients/cli/command.ts'
import { commands } from '../../clients/cli/commands/index.ts'
import { processIo } from '../../clients/cli/io.ts'
import { runCommand } from '../../clients/cli/run-command.ts'
import { MisbehaviourError } from '../../clients/log-client/index.ts'
import { line } from '../../scripts/line.ts'
import { TestCommand } from './test-io.ts'

/** Of the note examples of c2sp.org/signed-note. */
const VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const cli = new TestCommand()
after(() => cli.remove())

describe('provlog, asked about itself', () => {
  it('tells all commands, those of a group, and its version', async () => {
    for (const words of [[], ['help'], ['--help'], ['-h']]) {
      const { exit, out, err } = await cli.run(...words)
      assert.deepEqual([exit, err], [0, ''], words.join(' '))
      for (const { name, summary } of commands) assert.ok(out.includes(name) && out.includes(summary), name)
    }
    for (const words of [
      ['log', '--help'],
      ['help', 'log'],
      ['log', '-h'],
    ]) {
      const { exit, out } = await cli.run(...words)
      assert.equal(exit, 0)
      assert.match(out, /provlog log init/)
      assert.doesNotMatch(out, /provlog keygen/)
    }
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
    for (const word of ['--version', 'version'])
      assert.deepEqual(await cli.run(word), { exit: 0, out: version, err: '' })
  })

  it('tells of each command what has to be said, and each argument and flag', async () => {
    for (const { name, positionals = {}, flags } of commands) {
      for (const words of [
        [...name.split(' '), '--help'],
        [...name.split(' '), '-h'],
        ['help', ...name.split(' ')],
      ]) {
        const { exit, out } = await cli.run(...words)
        assert.equal(exit, 0, name)
        const usage = /^usage: (.*)$/m.exec(out)?.[1] ?? ''
        for (const [argument, about] of Object.entries(positionals)) {
          assert.ok(usage.includes(argument) && out.includes(about), `${name} ${argument}`)
        }
        for (const [flag, { about, required }] of Object.entries(flags)) {
          assert.ok(out.includes(`--${flag}`) && out.includes(about), `${name} --${flag}`)
          assert.equal(usage.includes(` --${flag} `), required === true, `${name} --${flag}`)
        }
      }
    }
  })

  it('names the word that it does not know', async () => {
    const unknown: [words: string[], named: string][] = [
      [['bogus'], 'bogus'],
      [['log', 'bogus', '--data', 'x'], 'log bogus'],
      [['--bogus'], '--bogus'],
      [['log'], 'log'],
    ]
    for (const [words, named] of unknown) {
      const { exit, out, err } = await cli.run(...words)
      assert.deepEqual([exit, out, err.split('\n')[0]], [Exit.usage, '', `unknown command: ${named}`])
    }
  })
})

describe('a command line that says less, or more, than one thing', () => {
  const usage = async (message: RegExp, ...words: string[]) => {
    const { exit, out, err } = await cli.run(...words)
    assert.equal(exit, Exit.usage, err)
    assert.equal(out, '')
    assert.match(err, message)
    assert.match(err, /\nusage: provlog .{1,160}; --help tells all$/)
  }

  it('is refused where a flag is there twice, and not by the last one', async () => {
    const verify = ['verify', 'C', '--bundle', 'B']
    await usage(/--trust is given 2 times/, ...verify, '--trust', 'ours.json', '--trust', 'theirs.json')
    await usage(/--at is given 3 times/, ...verify, '--trust', 'T', '--at=1', '--at=2', '--at=3')
  })

  it('is refused where a value is empty, as of a variable that nobody set', async () => {
    await usage(/--trust is empty/, 'verify', 'C', '--bundle', 'B', '--trust', '')
    await usage(/--vkey is empty/, 'proof', '0.1', '--log', 'http://127.0.0.1:9', '--vkey', '')
    await usage(/--data is empty/, 'log', 'fsck', '--data=')
    await usage(/an argument is empty/, 'verify', '', '--bundle', 'B', '--trust', 'T')
  })

  it('takes an empty variable of the environment for one that is not there', async () => {
    const said: string[] = []
    const io = { ...processIo(), env: { PROVLOG_DATA: '' }, out: () => {}, err: (line: string) => said.push(line) }
    const command = commands.find(({ name }) => name === 'log status')!
    assert.equal(await runCommand(command, [], io), Exit.usage)
    assert.match(said[0]!, /--data is missing/)
  })

  it('is refused where one flag has no part in what another asks for', async () => {
    const chain = ['--original', 'O', '--original-bundle', 'P']
    const verify = ['verify', 'C', '--bundle', 'B', '--trust', 'T']
    await usage(/--decision is of one credential/, ...verify, ...chain, '--decision', 'D')
    await usage(/--original goes with --original-bundle/, ...verify, '--original', 'O')
  })

  it('says how an entry is named by its index', async () => {
    const { exit, err } = await cli.run('proof', '9', '--log', 'http://127.0.0.1:9')
    assert.equal(exit, Exit.usage)
    assert.match(err, /index 9 is 0\.9 here/)
  })
})

describe('log init', () => {
  it('refuses a name that a note cannot have, or that is an address, and makes nothing', async () => {
    for (const origin of [
      ' ',
      'a b',
      'a+b',
      'a\nb',
      'a\u0001b',
      'a\u00a0b',
      'https://log.example/1',
      'x'.repeat(257),
    ]) {
      const { exit, err } = await cli.run('log', 'init', '--data', '@log', '--origin', origin)
      assert.equal(exit, Exit.usage, JSON.stringify(origin))
      assert.match(err, /--origin is a name such as/)
    }
    assert.equal(existsSync(cli.path('log')), false)
  })
})

describe('keygen', () => {
  it('never takes the place of a key that is there', async () => {
    const generate = (name: string) => cli.run('keygen', '--alg', 'ES256', '--out', name)
    assert.equal((await generate('@key.jwk')).exit, 0)
    const [key, publicKey] = ['key.jwk', 'key.pub.jwk'].map((name) => readFileSync(cli.path(name), 'utf8'))
    assert.equal(statSync(cli.path('key.jwk')).mode & 0o777, 0o600)

    for (const name of ['@key.jwk', '@key']) {
      const { exit, err } = await generate(name)
      assert.equal(exit, Exit.usage)
      assert.match(err, /key(\.pub)?\.jwk is there already/)
    }
    assert.deepEqual(
      [readFileSync(cli.path('key.jwk'), 'utf8'), readFileSync(cli.path('key.pub.jwk'), 'utf8')],
      [key, publicKey],
    )
    assert.equal(existsSync(cli.path('key')), false)
  })
})

describe('keys of the wrong kind', () => {
  const refused = async (message: RegExp, ...words: string[]) => {
    const { exit, err } = await cli.run(...words)
    assert.equal(exit, Exit.usage, err)
    assert.match(err, message)
  }

  it('are named as what they are, before anything is done with them', async () => {
    for (const [name, alg] of Object.entries({ signing: 'Ed25519', sealing: 'X25519' })) {
      assert.equal((await cli.run('keygen', '--alg', alg, '--out', `@${name}.jwk`)).exit, 0)
    }
    const logs = [{ origin: 'PeterNeumann', vkey: VKEY }]
    const trust = { logs, trustDomains: {}, minimumTier: 'affirming' }
    writeFileSync(cli.path('trust.json'), JSON.stringify({ ...trust, issuers: [], verifiers: [] }))
    const audit = ['--log', 'http://127.0.0.1:9', '--trust', '@trust.json', '--state', '@state']
    const opens = /signing\.jwk is not a key for this use: Ed25519 signs, and opens nothing/
    await refused(opens, 'audit', 'run', ...audit, '--key', '@signing.jwk')
    await refused(opens, 'monitor', '--once', ...audit, '--key', '@signing.jwk')
    const reference = line`attester reference --name n --dir docs/examples --out @reference.json`
    await refused(/a private key, where the public one belongs/, ...reference, '--key', '@signing.jwk')
  })

  it('make no anchor in the place of one, nor proofs that nobody would take', async () => {
    const anchor = line`issuer anchor --key @key.jwk --trust-domain bank.example --out @domain`
    assert.equal((await cli.run(...anchor)).exit, 0)
    const before = readFileSync(cli.path('domain/anchor.pem'), 'utf8')
    await refused(/domain\/anchor\.pem is there already/, ...anchor)
    assert.equal(readFileSync(cli.path('domain/anchor.pem'), 'utf8'), before)
    writeFileSync(cli.path('credential.jwt'), 'x')
    const prove = line`workload prove https://rp.example/pay --credential @credential.jwt --key @key.jwk`
    await refused(/--lifetime is 300 at most/, ...prove, '--lifetime', '301')
  })
})

describe('files of a command', () => {
  it('are read to an end, or not at all', async () => {
    // A device that never ends.
    const { exit, err } = await cli.run('verify', 'C', '--bundle', 'B', '--trust', '/dev/zero')
    assert.equal(exit, Exit.usage)
    assert.match(err, /cannot read \/dev\/zero \(EFBIG\)/)
  })

  it('are not there when they could not be written whole, and the machine is what was in the way', async () => {
    const full = await cli.run(
      'attester',
      'reference',
      ...line`--key @key.pub.jwk --name n --dir docs/examples --out /dev/full`,
    )
    assert.equal(full.exit, Exit.unavailable)
    assert.match(full.err, /cannot write \/dev\/full \(ENOSPC\)/)

    // No file may be longer than nothing: as on a disk that is full.
    const words = [cli.path('short.jwk'), process.execPath]
    const script = `trap '' XFSZ; ulimit -f 0; "$2" --conditions=provlog-source --import tsx clients/cli/bin.ts keygen --alg ES256 --out "$1"`
    const env = { ...process.env, TSX_DISABLE_CACHE: '1' }
    const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', ...words], { env })
    assert.notEqual(status, 0)
    assert.match(String(stderr), /cannot write .*short\.jwk \(EFBIG\)/)
    assert.equal(existsSync(cli.path('short.jwk')), false)
  })

  it('may be pipes and devices, which stay what they are', { skip: process.platform === 'win32' }, async () => {
    const pipe = cli.path('pipe')
    execFileSync('mkfifo', [pipe])
    const reading = spawnSync('bash', [
      '-c',
      `cat "$1" & "$2" --conditions=provlog-source --import tsx clients/cli/bin.ts attester reference \
         --key "$3" --name n --dir clients/workload --out "$1" && wait`,
      'bash',
      pipe,
      process.execPath,
      cli.path('key.pub.jwk'),
    ])
    assert.equal(reading.status, 0, String(reading.stderr))
    assert.match(String(reading.stdout), /"format"/)
    assert.ok(statSync(pipe).isFIFO())
  })
})

describe('an audit on a disk that is full', () => {
  it('is not called damaged: it could not go on, and goes on when there is room', async () => {
    const database = cli.path('audit.duckdb')
    const script = `trap '' XFSZ; ulimit -f 0; "$1" --conditions=provlog-source --import tsx -e '
      const { Database } = await import("./clients/auditor/database/duckdb.ts")
      await Database.open(process.argv[1], { readOnly: false }).catch((error) => console.log(error.name, error.message))' "$2"`
    const env = { ...process.env, TSX_DISABLE_CACHE: '1' }
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'bash', process.execPath, database], { env })
    assert.match(
      String(stdout),
      /^UnavailableError .*audit\.duckdb cannot be opened now: .*File too large/,
      String(stderr),
    )
  })
})

describe('evidence against a log', () => {
  it('is kept, and the exit code is that of it, where the folder cannot be written to', async () => {
    const folder = cli.path('no-folder')
    writeFileSync(folder, '')
    mkdirSync(cli.path('tmp'))
    const before = process.env['TMPDIR']
    process.env['TMPDIR'] = cli.path('tmp')
    try {
      const error = new MisbehaviourError('checkpoint_fork', 'two roots', {
        origin: 'log.example/1',
        notes: [],
      } as never)
      const said = { out: [] as string[], err: [] as string[] }
      const io = {
        ...processIo(),
        env: { PROVLOG_EVIDENCE_DIR: folder },
        out: (line: string) => said.out.push(line),
        err: (line: string) => said.err.push(line),
      }
      const command = { name: 'x', summary: '', flags: {}, run: () => Promise.reject(error) }
      assert.equal(await runCommand(command, ['--json'], io), Exit.misbehaved)
      const { code, evidence } = JSON.parse(said.out[0]!)
      assert.equal(code, 'checkpoint_fork')
      assert.ok(evidence.startsWith(cli.path('tmp')))
      assert.equal(JSON.parse(readFileSync(evidence, 'utf8')).code, 'checkpoint_fork')
    } finally {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
    }
  })
})
