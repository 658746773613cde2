/** The worker as one self-contained script: made by the build, and by the development server on the fly. */
declare const source: string
export default source
