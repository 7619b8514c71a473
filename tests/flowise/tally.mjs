// One line a check; the process ends non-zero if one failed. A check that cannot run here is skipped aloud, and counted.
const only = new RegExp(process.env.ONLY ?? '')
let passed = 0
let failed = 0
let skipped = 0

export async function check(name, what) {
  if (!only.test(name)) return
  const started = performance.now()
  try {
    await what()
    passed++
    console.log(`ok      ${name} (${Math.round(performance.now() - started)} ms)`)
  } catch (e) {
    failed++
    console.log(`FAILED  ${name}\n${String(e?.stack ?? e).replace(/^/gm, '        ')}`)
  }
}

export function skip(name, why) {
  skipped++
  console.log(`SKIPPED ${name}: ${why}`)
}

export function cannotStart(e) {
  console.log(`FAILED  the gateway starts\n${e.stack}\n0 passed, 1 failed, 0 skipped`)
  process.exit(1)
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exit(failed ? 1 : 0)
}
