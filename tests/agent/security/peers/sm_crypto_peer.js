// Answers for npm sm-crypto: one request a line on standard input, one answer a line.
//   keypair                              -> PRIVATE PUBLIC
//   encrypt c1c3c2|c1c2c3 PUBLIC TEXT    -> CIPHERTEXT   (no 04 in front)
//   decrypt c1c3c2|c1c2c3 PRIVATE CIPHER -> TEXT, or "refused"
// Everything is hex; PUBLIC begins with 04.
'use strict'

const readline = require('readline')
const { sm2 } = require(process.argv[2])

const modes = { c1c2c3: 0, c1c3c2: 1 }
const bytes = (hex) => Array.from(Buffer.from(hex, 'hex'))

function answer(line) {
  const [verb, order, key, data] = line.split(' ')
  if (verb === 'keypair') {
    const pair = sm2.generateKeyPairHex()
    return `${pair.privateKey} ${pair.publicKey}`
  }
  if (verb === 'encrypt') return sm2.doEncrypt(bytes(data), key, modes[order])
  const text = sm2.doDecrypt(data, key, modes[order], { output: 'array' })
  return text.length ? Buffer.from(text).toString('hex') : 'refused'
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${answer(line)}\n`)
})
