"""The folders: what lies in `incoming`, what belongs to a photo, where a photo is filed, what people move."""
