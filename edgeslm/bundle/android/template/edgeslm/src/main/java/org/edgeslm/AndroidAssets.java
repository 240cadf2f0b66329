package org.edgeslm;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** The assets of the app's package. An asset that is stored as it is can be mapped out of the package's own file. */
final class AndroidAssets implements Assets {
    private final AssetManager manager;

    AndroidAssets(AssetManager manager) {
        this.manager = manager;
    }

    @Override
    public InputStream open(String name) throws AssetMissingException {
        try {
            return manager.open(name, AssetManager.ACCESS_STREAMING);
        } catch (IOException missing) {
            throw new AssetMissingException(name);
        }
    }

    @Override
    public ByteBuffer map(String name) throws AssetMissingException, IOException {
        try (AssetFileDescriptor place = manager.openFd(name);
                FileInputStream file = new FileInputStream(place.getFileDescriptor())) {
            FileChannel channel = file.getChannel();
            return channel.map(FileChannel.MapMode.READ_ONLY, place.getStartOffset(), place.getLength());
        } catch (FileNotFoundException compressed) {
            open(name).close(); // throws where it is not there at all
            return null;
        }
    }
}
