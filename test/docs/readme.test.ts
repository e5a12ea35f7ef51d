// README.md is done as it says, from `keygen` to `monitor`; and no page of the house names a page, a command or a flag that is not there.
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { commands } from '../../clients/cli/commands/index.ts'
import { runPage, skip } from './run-page.ts'

const FOLDERS = ['bench', 'clients', 'docs', 'log-server', 'merkle', 'provenance', 'scripts', 'statement', 'test']
const PAGES = ['README.md', 'ARCHITECTURE.md', ...FOLDERS.flatMap(pagesIn)]

describe('README.md', () => {
  it('can be copied into a shell', { skip }, async () => {
    await runPage('README.md', 4, (folder) => {
      for (const name of ['package.json', 'package-lock.json']) cpSync(name, join(folder, name))
      writeFileSync(join(folder, '.npmrc'), 'package-lock-only=true\n')
      symlinkSync(resolve('docs'), join(folder, 'docs'))
      // Whether anything was built or installed is no matter here: the sources are measured, and the lock is what they depend on.
      mkdirSync(join(folder, 'dist'))
      symlinkSync(resolve('log-server'), join(folder, 'dist/log-server'))
    })
  })
})

describe('the pages', () => {
  it('link to what is there', () => {
    for (const page of PAGES) {
      for (const [, target = ''] of readFileSync(page, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
        const [path = '', fragment] = target.split('#')
        if (/^[a-z]+:/.test(path)) continue
        const file = path === '' ? page : join(dirname(page), path)
        assert.ok(existsSync(file), `${page}: ${target}`)
        if (fragment === undefined) continue
        const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => anchorOf(text))
        assert.ok(headings.includes(fragment), `${page}: ${target}`)
      }
    }
  })

  it('call commands that there are, with flags that they take', () => {
    for (const page of PAGES) {
      for (const [, block = ''] of readFileSync(page, 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)) {
        for (const [, line = ''] of block
          .replaceAll(/\\\n\s*/g, '')
          .matchAll(/^(?:.*[|&;] |[A-Z]+=\S+ )?provlog ([a-z].*)$/gm)) {
          const [words = ''] = line.split(/ [|#&>] | [>#|&]/)
          const command = commands.find(({ name }) => `${words} `.replaceAll(/ +/g, ' ').startsWith(`${name} `))
          assert.ok(command, `${page}: provlog ${line}`)
          const known = new Set([...Object.keys(command.flags), 'json', 'help'])
          const [ours = ''] = words.split(' -- ')
          for (const [, flag = ''] of ours.matchAll(/(?<= )--([a-z][a-z-]*)/g)) {
            assert.ok(known.has(flag), `${page}: provlog ${command.name} --${flag}`)
          }
        }
      }
    }
  })
})

function pagesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => join(folder, name))
    .toSorted()
}

/** As GitHub makes them. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
