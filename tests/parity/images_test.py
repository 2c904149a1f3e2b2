"""Folders of images: pixels as Pillow and torchvision's transforms give them, files that cannot be
used, training on them."""

import io
import random

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from support import ParityTest, main

EXIF_ORIENTATION = 0x0112


def scene(width, height, mode="RGB"):
    """Edges, gradients and noise of a size."""
    generator = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack(
        [x * 255 / max(width - 1, 1), y * 255 / max(height - 1, 1), ((x // 5 + y // 7) % 2) * 200], axis=-1
    )
    rgb = np.clip(rgb + generator.normal(0, 20, rgb.shape), 0, 255).astype(np.uint8)
    return Image.fromarray(rgb).convert(mode)


def saved(image, form, **options):
    data = io.BytesIO()
    image.save(data, form, **options)
    return data.getvalue()


def resized_and_cut(image, resize, size, resample):
    """torchvision's Resize(resize) and CenterCrop(size), on Pillow as it computes them there."""
    width, height = image.size
    if min(width, height) != resize:
        if width <= height:
            to = (resize, int(resize * height / width))
        else:
            to = (int(resize * width / height), resize)
        image = image.resize(to, resample)
    left = int(round((image.width - size) / 2.0))
    top = int(round((image.height - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


def as_tensor(image, channels=3):
    pixels = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    return torch.from_numpy(pixels.copy()).reshape(*pixels.shape[:2], channels).permute(2, 0, 1)


class ImagesTest(ParityTest):
    def folder_of(self, files):
        folder = self.workspace.new_folder()
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    def config(self, **data):
        layers = [{"name": "same", "type": "Identity"}]
        return self.workspace.write_config(
            {"model": {"layers": layers}, "data": {"train": "none", **data}}
        )

    def predict_folder(self, folder, **data):
        """The images of a folder as a model gets them, sorted by their paths."""
        outputs = self.workspace.new_path(".safetensors")
        arguments = ("--inputs", folder, "--outputs", outputs)
        self.workspace.tenon_ok("predict", self.config(**data), *arguments)
        return load_file(outputs)["output_0"]

    def bytes_of(self, folder, **data):
        return (self.predict_folder(folder, **data) * 255).round().to(torch.uint8)

    def error_of(self, folder, **data):
        outputs = self.workspace.new_path(".safetensors")
        done = self.workspace.tenon(
            "predict", self.config(image_size=8, **data), "--inputs", folder, "--outputs", outputs
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertFalse(outputs.exists())
        return done.stderr

    def test_every_kind_of_file_has_pillows_pixels(self):
        rgb = scene(24, 24)
        grey = rgb.convert("L")
        see_through = rgb.copy()
        see_through.putalpha(grey)
        files = {
            "rgb.png": saved(rgb, "PNG"),
            "grey.png": saved(grey, "PNG"),
            "bits.png": saved(rgb.convert("1"), "PNG"),
            "palette.png": saved(rgb.quantize(16), "PNG"),
            "palette_with_hole.png": saved(rgb.quantize(16), "PNG", transparency=3),
            "alpha.png": saved(see_through, "PNG"),
            "grey_alpha.png": saved(see_through.convert("LA"), "PNG"),
            "grey_with_hole.png": saved(grey, "PNG", transparency=100),
            "rgb.jpg": saved(rgb, "JPEG", quality=90),
            "full_colour.jpg": saved(rgb, "JPEG", subsampling=0),
            "half_colour.jpg": saved(rgb, "JPEG", subsampling=1),
            "progressive.jpg": saved(rgb, "JPEG", progressive=True),
            "grey.jpeg": saved(grey, "JPEG"),
            "inks.JPG": saved(rgb.convert("CMYK"), "JPEG"),
            "png_named.jpg": saved(rgb, "PNG"),
        }
        folder = self.folder_of(files)
        for channels in (3, 1):
            actual = self.bytes_of(folder, image_size=24, channels=channels)
            for row, name in enumerate(sorted(files)):
                expected = as_tensor(Image.open(io.BytesIO(files[name])), channels)
                self.assertTrue(torch.equal(actual[row], expected), (name, channels))

    def test_of_16_bits_the_upper_8_are_kept(self):
        levels = np.arange(24 * 24, dtype=np.uint16).reshape(24, 24) * 113
        folder = self.folder_of({"deep.png": saved(Image.fromarray(levels), "PNG")})
        actual = self.bytes_of(folder, image_size=24, channels=1)[0, 0]
        self.assertTrue(torch.equal(actual, torch.from_numpy((levels >> 8).astype(np.uint8))))

    def test_exifs_orientation_is_applied(self):
        image = scene(24, 24)
        files = {}
        for orientation in range(10):
            exif = Image.Exif()
            exif[EXIF_ORIENTATION] = orientation
            files[f"{orientation}.jpg"] = saved(image, "JPEG", exif=exif)
            files[f"{orientation}.png"] = saved(image, "PNG", exif=exif)
        actual = self.bytes_of(self.folder_of(files), image_size=24)
        for row, name in enumerate(sorted(files)):
            expected = as_tensor(ImageOps.exif_transpose(Image.open(io.BytesIO(files[name]))))
            self.assertTrue(torch.equal(actual[row], expected), name)

    def test_resizing_and_cutting_differ_from_pillows_by_one_of_255_at_most(self):
        # Pillow 13 resizes the height of some tall images first, where bicubic overshoot then is
        # clipped at another place; the width comes first here, as in all Pillow before.
        sizes = [(64, 48), (48, 64), (40, 40), (200, 31), (90, 100), (333, 257), (20, 17), (1, 9), (8, 8)]
        files = {f"{i}.png": saved(scene(*size), "PNG") for i, size in enumerate(sizes)}
        folder = self.folder_of(files)
        for resample, name in ((Image.BILINEAR, "bilinear"), (Image.BICUBIC, "bicubic")):
            for resize, size in ((40, 33), (40, 40), (9, 8), (64, 55)):
                with self.subTest(interpolation=name, resize=resize, size=size):
                    actual = self.bytes_of(folder, interpolation=name, resize=resize, image_size=size)
                    for row, file in enumerate(sorted(files)):
                        image = Image.open(io.BytesIO(files[file]))
                        expected = as_tensor(resized_and_cut(image, resize, size, resample))
                        off = (actual[row].int() - expected.int()).abs()
                        self.assertLessEqual(off.max().item(), 1, file)
                        self.assertLess(off.float().mean().item(), 0.2, file)

    def test_channels_are_normalised_as_by_torchvision(self):
        image = scene(24, 24)
        folder = self.folder_of({"a.png": saved(image, "PNG")})
        for channels, mean, std in (
            (3, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            (3, [0.5], [0.25]),
            (1, [0.1307], [0.3081]),
        ):
            options = {"image_size": 24, "channels": channels, "mean": mean, "std": std}
            actual = self.predict_folder(folder, **options)
            expected = as_tensor(image, channels).float().div(255)
            expected.sub_(torch.tensor(mean).reshape(-1, 1, 1)).div_(torch.tensor(std).reshape(-1, 1, 1))
            self.assertTrue(torch.equal(actual[0], expected))

    def test_a_file_that_cannot_be_read_is_named_with_what_is_wrong(self):
        image = scene(24, 24)
        png, jpeg = saved(image, "PNG"), saved(image, "JPEG")
        flipped = bytearray(png)
        flipped[len(png) // 2] ^= 0xFF
        huge = bytearray(png)
        huge[16:24] = b"\x00\x0f\x00\x00" * 2
        huge[29:33] = __import__("zlib").crc32(bytes(huge[12:29])).to_bytes(4, "big")
        start_of_frame = jpeg.index(b"\xff\xc0")
        wide = bytearray(jpeg)
        wide[start_of_frame + 5 : start_of_frame + 9] = b"\xff\xdc\xff\xdc"
        for name, data, text in (
            ("cut.png", png[: len(png) // 2], "the PNG image cannot be read: the file is cut off"),
            ("cut.jpg", jpeg[: len(jpeg) * 3 // 4], "the JPEG image cannot be read: Premature end of JPEG file"),
            ("changed.png", bytes(flipped), "the PNG image cannot be read: "),
            ("huge.png", bytes(huge), "it claims 983040 x 983040 pixels; at most 178956970 are read"),
            ("wide.jpg", bytes(wide), "it claims 65500 x 65500 pixels; at most 178956970 are read"),
            ("empty.png", b"", "the image is an empty file"),
            ("web.png", saved(image, "WEBP"), "this is no JPEG or PNG image but a WebP image"),
            ("moving.jpg", saved(image, "GIF"), "this is no JPEG or PNG image but a GIF image"),
            ("text.jpg", b"hello", "this is no JPEG or PNG image"),
        ):
            with self.subTest(file=name):
                error = self.error_of(self.folder_of({"a.png": png, name: data}))
                self.assertIn(name, error)
                self.assertIn(text, error)

    def test_folders_that_would_be_read_in_part_are_refused(self):
        png = saved(scene(8, 8), "PNG")
        loss = {"loss": "cross_entropy", "steps": 1, "batch_size": 1}
        model = {"layers": [{"name": "flat", "type": "Flatten"}, {"name": "head", "type": "Linear", "in_features": 192, "out_features": 2}]}
        good = {"cats/1.png": png, "dogs/2.png": png}

        def error(files, eval_files=None, **data):
            data = {"train": self.folder_of(files), "image_size": 8, **data}
            if eval_files:
                data["eval"] = self.folder_of(eval_files)
            config = {"model": model, "adapter": {"method": "lora", "target_modules": ["head"]}, "data": data, "train": loss}
            config["output"] = {"directory": self.workspace.new_path()}
            done = self.workspace.tenon("run", self.workspace.write_config(config))
            return done.stderr if done.returncode else ""

        self.assertEqual(error(good), "")
        self.assertEqual(error({**good, ".hidden": b"", "cats/.thumbs": b"", "README.txt": b"x"}), "")
        for files, text in (
            ({**good, "cats/3.webp": png}, "neither JPEG nor PNG by their names: cats/3.webp"),
            ({**good, "3.png": png}, "images in no class's folder: 3.png"),
            ({"1.png": png}, "images in no class's folder: 1.png"),
            ({**good, "birds/notes.txt": b""}, "the class `birds` has no image"),
        ):
            self.assertIn(text, error(files))
        self.assertIn("the class `birds` is none of the training data's: cats, dogs", error(good, {"birds/1.png": png}))
        self.assertIn("[data] target is for safetensors and CSV files", error(good, target="labels"))
        self.assertIn("[data] mean has 2 numbers; give one, or one for each of the 3 channels", error(good, mean=[0.1, 0.2]))

    def test_the_classes_of_both_sets_are_counted_alike(self):
        """Of the eval set only the second class is there: its images are still of class 1."""
        bright, dark = (saved(Image.new("RGB", (8, 8), level), "PNG") for level in ("white", "black"))
        train = self.folder_of({"bright/1.png": bright, "dark/1.png": dark})
        head = {"name": "head", "type": "Linear", "in_features": 192, "out_features": 2}
        config = {
            "model": {"layers": [{"name": "flat", "type": "Flatten"}, head]},
            "data": {"train": train, "eval": self.folder_of({"dark/1.png": dark}), "image_size": 8},
            "train": {"steps": 60, "learning_rate": 1e-2, "full": True},
            "output": {"model": self.workspace.new_path(".safetensors")},
        }
        result = self.workspace.tenon_json("run", self.workspace.write_config(config))
        self.assertEqual(result["eval"]["after"]["accuracy"], 1)

    def test_a_batch_is_the_same_whoever_reads_it_first(self):
        """The order of the images and the losses are settled by the seed."""
        random.seed(0)
        files = {
            f"{name}/{i}.png": saved(scene(20 + i, 20, "RGB"), "PNG") for name in "ab" for i in range(7)
        }
        head = {"name": "head", "type": "Linear", "in_features": 768, "out_features": 2}
        config = {
            "model": {"layers": [{"name": "flat", "type": "Flatten"}, head]},
            "data": {"train": self.folder_of(files), "image_size": 16},
            "train": {"epochs": 3, "batch_size": 3, "full": True, "seed": 5},
            "output": {"model": self.workspace.new_path(".safetensors"), "force": True},
        }
        path = self.workspace.write_config(config)
        first, second = (self.workspace.tenon_json("run", path)["losses"] for _ in range(2))
        self.assertEqual(first, second)
        self.assertEqual(len(first), 15)


if __name__ == "__main__":
    main()
