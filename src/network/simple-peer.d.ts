/** The prebuilt file has no types, and as a bare module no exports either: it sets a global (PLATFORM, later probes). */
declare module 'simple-peer/simplepeer.min.js' {
  const exported: unknown
  export default exported
}
