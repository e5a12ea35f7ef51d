// A modulus as chips with CVE-2017-15361 make it: a power of 65537 modulo M, the product of the first 126 primes. It is no product of two primes,
// which nobody looks at, and nobody could work out what is not there.
import { fromHex } from '../merkle/bytes.ts'

export function rocaModulus(): Uint8Array {
  const primes = Array.from({ length: 700 }, (_, i) => i + 2).filter(
    (n) => !Array.from({ length: n - 2 }, (_, i) => i + 2).some((d) => n % d === 0),
  )
  const product = primes.reduce((all, prime) => all * BigInt(prime), 1n)
  let power = 1n
  for (let i = 0; i < 1000; i++) power = (power * 65_537n) % product
  // The first of 2048 bits and more.
  return fromHex((product * (2n ** 2047n / product + 1n) + power).toString(16))
}
