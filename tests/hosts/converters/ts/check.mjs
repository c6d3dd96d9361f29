// Reads lists of tools as the TypeScript SDK reads them, and compiles their schemas as its client does.
//   node check.mjs FOLDER   each `.json` in it is what `tools/list` answered
import fs from 'node:fs'
import path from 'node:path'
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv-provider.js'
import { ListToolsResultSchema } from '@modelcontextprotocol/sdk/types.js'

const folder = process.argv[2]
const validator = new AjvJsonSchemaValidator()
let tools = 0
let refused = 0

for (const file of fs.readdirSync(folder).filter((it) => it.endsWith('.json')).sort()) {
  const list = JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'))
  const read = ListToolsResultSchema.safeParse({ tools: list })
  if (!read.success) {
    console.log(`${file}: ${read.error.message}`)
    refused += 1
    continue
  }
  for (const tool of list) {
    tools += 1
    for (const schema of [tool.inputSchema, tool.outputSchema].filter(Boolean)) {
      try {
        validator.getValidator(schema)
      } catch (error) {
        console.log(`${file}: ${tool.name}: ${error.message}`)
        refused += 1
      }
    }
  }
}
console.log(`TypeScript SDK: ${tools} tools, ${refused} refused`)
process.exit(refused === 0 && tools > 0 ? 0 : 1)
