/**
 * One chapter of a made log: what its number, the seed and nothing else make of it.
 *
 * @module
 */
import { type Cast, type CastInput, createCast, randomOf } from './cast.ts'
import { Chapter, type MadeEntry } from './chapter.ts'
import { CHAPTER_ENTRIES, CHAPTERS_PER_EPOCH, chapterStart, RootSeries } from './roots.ts'
import { tellStory } from './stories.ts'

export interface TellerInput extends CastInput {
  /** Bills of materials, as `npm sbom` makes them. */
  readonly documents: readonly object[]
  /** Of the sealed records of a chapter, every so manieth has a wrap for the auditor; 0 for none. */
  readonly wrapEvery: number
}

export class Teller {
  readonly cast: Cast
  readonly roots: RootSeries
  readonly #wrapEvery: number

  private constructor(cast: Cast, { documents, wrapEvery }: TellerInput) {
    this.cast = cast
    this.roots = new RootSeries(cast, documents)
    this.#wrapEvery = wrapEvery
  }

  static async create(input: TellerInput): Promise<Teller> {
    return new Teller(await createCast(input), input)
  }

  /** Exactly `length` entries, of chapter `number`. Numbers must not go back. */
  async tell(number: number, length = CHAPTER_ENTRIES): Promise<readonly MadeEntry[]> {
    const epoch = Math.floor(number / CHAPTERS_PER_EPOCH)
    const { roots, chapter: opening } = await this.roots.at(epoch, this.#wrapEvery)
    const opens = number % CHAPTERS_PER_EPOCH === 0
    const now = opens ? opening.now : chapterStart(number)
    const random = randomOf(`${this.cast.seed} chapter ${number}`)
    const chapter = new Chapter(this.cast, { random, now, wrapEvery: this.#wrapEvery })
    if (opens) chapter.entries.push(...opening.entries.slice(0, length))
    while (chapter.entries.length < length) await tellStory(chapter, roots, length - chapter.entries.length)
    return chapter.entries
  }
}
