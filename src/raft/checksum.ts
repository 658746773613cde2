const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** CRC-32 (IEEE 802.3) of what has the checksum `before`, followed by `data`: a stream is checked as it comes, never all at once. */
export function crc32(data: Uint8Array, before = 0): number {
  let crc = ~before
  for (let at = 0; at < data.length; at++) crc = (crc >>> 8) ^ (table[(crc ^ (data[at] ?? 0)) & 0xff] ?? 0)
  return ~crc >>> 0
}
