/**
 * How the demo speaks: numbered steps for a person, or one JSON line a step for a program.
 *
 * @module
 */
import { styleText } from 'node:util'

export interface Teller {
  /** One step of the story: what happened, and facts worth seeing. */
  step(id: string, title: string, facts: Readonly<Record<string, string | number>>): void
  /** One attack: what was tried, and the reason with which it was refused. */
  refused(id: string, title: string, code: string, detail: string): void
  /** For a person only. */
  note(text: string): void
  end(result: Readonly<Record<string, unknown>>): void
}

export function teller(json: boolean): Teller {
  let steps = 0
  const line = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`)
  const say = (text: string) => process.stdout.write(`${text}\n`)
  if (json) {
    return {
      step: (id, title, facts) => line({ step: id, title, ...facts }),
      refused: (id, title, code, detail) => line({ attack: id, title, refused: code, detail }),
      note: () => {},
      end: line,
    }
  }
  return {
    step: (_id, title, facts) => {
      steps++
      say(`\n${styleText('bold', `${steps}. ${title}`)}`)
      for (const [name, value] of Object.entries(facts)) say(`   ${name.padEnd(18)} ${value}`)
    },
    refused: (_id, title, code, detail) => {
      steps++
      say(`\n${styleText('bold', `${steps}. Attack: ${title}`)}`)
      say(`   ${styleText('red', `refused (${code})`)} ${detail}`)
    },
    note: (text) => say(`\n${text}`),
    end: (result) => {
      const log = result['log']
      say(
        `\n${styleText('green', 'Every step held, every attack was refused.')} ${String(result['seconds'])} s, log ${JSON.stringify(log)}`,
      )
    },
  }
}
