// Answers for Bouncy Castle: one request a line on standard input, one answer a line.
//   keypair                              -> PRIVATE PUBLIC
//   encrypt c1c3c2|c1c2c3 PUBLIC TEXT    -> CIPHERTEXT   (04 in front)
//   decrypt c1c3c2|c1c2c3 PRIVATE CIPHER -> TEXT, or "refused"
// Everything is hex; PUBLIC begins with 04.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigInteger;
import java.security.SecureRandom;
import org.bouncycastle.asn1.gm.GMNamedCurves;
import org.bouncycastle.asn1.x9.X9ECParameters;
import org.bouncycastle.crypto.InvalidCipherTextException;
import org.bouncycastle.crypto.engines.SM2Engine;
import org.bouncycastle.crypto.params.ECDomainParameters;
import org.bouncycastle.crypto.params.ECPrivateKeyParameters;
import org.bouncycastle.crypto.params.ECPublicKeyParameters;
import org.bouncycastle.crypto.params.ParametersWithRandom;
import org.bouncycastle.math.ec.FixedPointCombMultiplier;
import org.bouncycastle.util.encoders.Hex;

public class BouncyCastlePeer {
    private static final X9ECParameters CURVE = GMNamedCurves.getByName("sm2p256v1");
    private static final ECDomainParameters DOMAIN =
            new ECDomainParameters(CURVE.getCurve(), CURVE.getG(), CURVE.getN(), CURVE.getH());
    private static final SecureRandom RANDOM = new SecureRandom();

    public static void main(String[] arguments) throws Exception {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        PrintStream answers = new PrintStream(System.out, false);
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(answer(line.split(" ")));
        }
        answers.flush();
    }

    private static String answer(String[] request) throws InvalidCipherTextException {
        if (request[0].equals("keypair")) {
            return keyPair();
        }
        SM2Engine.Mode order =
                request[1].equals("c1c3c2") ? SM2Engine.Mode.C1C3C2 : SM2Engine.Mode.C1C2C3;
        SM2Engine engine = new SM2Engine(order);
        byte[] data = Hex.decode(request[3]);
        if (request[0].equals("encrypt")) {
            ECPublicKeyParameters key = new ECPublicKeyParameters(
                    CURVE.getCurve().decodePoint(Hex.decode(request[2])), DOMAIN);
            engine.init(true, new ParametersWithRandom(key, RANDOM));
            return Hex.toHexString(engine.processBlock(data, 0, data.length));
        }
        engine.init(false, new ECPrivateKeyParameters(new BigInteger(request[2], 16), DOMAIN));
        try {
            return Hex.toHexString(engine.processBlock(data, 0, data.length));
        } catch (InvalidCipherTextException | IllegalArgumentException error) {
            return "refused";
        }
    }

    private static String keyPair() {
        BigInteger number;
        do {
            number = new BigInteger(256, RANDOM);
        } while (number.signum() < 1
                || number.compareTo(DOMAIN.getN().subtract(BigInteger.TWO)) > 0);
        byte[] point = new FixedPointCombMultiplier()
                .multiply(DOMAIN.getG(), number).getEncoded(false);
        return String.format("%064x %s", number, Hex.toHexString(point));
    }
}
