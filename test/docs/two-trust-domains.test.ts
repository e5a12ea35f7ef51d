/** `docs/two-trust-domains.md`, done as it says. */
import { describe, it } from 'node:test'
import { runPage, skip } from './run-page.ts'

describe('docs/two-trust-domains.md', { skip }, () => {
  it('runs in an empty folder, and shows what it says', () => runPage('docs/two-trust-domains.md', 6))
})
