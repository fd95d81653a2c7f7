// What the upload form does beside Active Storage's own script: lists the chosen files, takes dropped ones, and shows how
// far each of them is. Without scripts the form sends its files itself.
const form = document.querySelector("form.upload")
const input = form.querySelector("input[type=file]")
const button = form.querySelector("input[type=submit]")
const drop = form.querySelector(".drop")
const list = form.querySelector(".chosen")
const problem = form.querySelector(".problem")
const state = form.querySelector(".state")
const template = document.getElementById("chosen-file")
const rows = new Map()

document.documentElement.classList.add("scripted")

function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}

function row(file) {
  const item = template.content.firstElementChild.cloneNode(true)
  item.querySelector(".name").textContent = file.name
  item.querySelector(".size").textContent = size(file.size)
  const progress = item.querySelector("progress")
  progress.setAttribute("aria-label", `Upload of ${file.name}`)
  // Nobody tells how far a form is that the browser sends by itself.
  progress.hidden = !input.dataset.directUploadUrl
  return item
}

function listChosen() {
  rows.clear()
  for (const file of input.files) rows.set(file, row(file))
  list.replaceChildren(...rows.values())
  list.hidden = rows.size === 0
  problem.hidden = true
  state.textContent = ""
}

function show(file, name, percent) {
  const item = rows.get(file)
  if (!item) return
  item.dataset.state = name
  item.querySelector("progress").value = percent
}

function dragged(event) {
  if (!event.dataTransfer.types.includes("Files") || input.disabled) return
  event.preventDefault()
  drop.classList.toggle("over", event.type === "dragover")
  if (event.type !== "drop") return

  // Those that were chosen before stay.
  const files = new DataTransfer()
  for (const file of [...input.files, ...event.dataTransfer.files]) files.items.add(file)
  input.files = files.files
  listChosen()
}

input.addEventListener("change", listChosen)
for (const type of ["dragover", "dragleave", "drop"]) drop.addEventListener(type, dragged)

form.addEventListener("direct-uploads:start", () => {
  // All files are sent again after one has failed; those that were stored then are not to be attached twice.
  for (const stored of form.querySelectorAll(`input[type=hidden][name="${input.name}"]`)) stored.remove()
  document.querySelector(".notice")?.remove()
  button.disabled = true
  form.setAttribute("aria-busy", "true")
  problem.hidden = true
})
form.addEventListener("direct-upload:start", ({ detail }) => {
  show(detail.file, "uploading", 0)
  state.textContent = `Encrypting ${detail.file.name} on its way…`
})
form.addEventListener("direct-upload:progress", ({ detail }) => show(detail.file, "uploading", detail.progress))
form.addEventListener("direct-upload:error", (event) => {
  event.preventDefault()
  const { file, error } = event.detail
  show(file, "failed", 0)
  problem.textContent = `${file.name} was not stored, and nothing of it was kept. ${error}`
  problem.hidden = false
  state.textContent = ""
})
form.addEventListener("direct-upload:end", ({ detail }) => {
  if (rows.get(detail.file)?.dataset.state === "uploading") show(detail.file, "done", 100)
})
form.addEventListener("direct-uploads:end", () => {
  button.disabled = false
  form.removeAttribute("aria-busy")
})

// A picture that cannot be made gives way to the ending of the file's name.
function withoutPicture(image) {
  image.hidden = true
}
for (const image of document.querySelectorAll(".media img")) {
  if (image.complete && image.naturalWidth === 0) withoutPicture(image)
  image.addEventListener("error", () => withoutPicture(image))
}
